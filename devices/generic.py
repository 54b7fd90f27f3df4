"""The fallbacks: any JSON document, and any plain value, on topics that belong to no family."""

import re
from collections.abc import Sequence

from devices import documents, numbers, quantities, units
from devices.bounded import MAX_KEY, Bounded
from devices.reading import DecodeError, DeviceState, Reading

_NOT_DATA = ("/set", "/get", "/command", "/cmd", "/cmnd")
_EVENTS = re.compile(r"(?:.*/)?events?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF")
_STATES = frozenset(("online", "offline"))  # availability is no reading, whatever the topic
_AVAILABILITY = ("/LWT", "/lwt", "/availability", "/available", "/connected", "/online")
# A unit that belongs to one quantity only: where nothing better is known, it names the reading.
BY_UNIT = {
    "V": "voltage", "mV": "voltage", "A": "current", "mA": "current", "W": "power", "kW": "power", "Hz": "frequency",
    "VA": "apparent_power", "var": "reactive_power", "Wh": "energy", "kWh": "energy", "°C": "temperature",
    "°F": "temperature", "hPa": "pressure", "kPa": "pressure", "Pa": "pressure", "lx": "illuminance",
}  # fmt: skip


class Json:
    """A JSON object or array without a family: see `devices.documents`."""

    family = "json"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return payload.lstrip()[:1] in (b"{", b"[") or payload[:4] in (b"\xef\xbb\xbf{", b"\xef\xbb\xbf[")

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return ()

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        if not payload or topic.startswith("$") or topic.endswith(_NOT_DATA):
            return []
        document = numbers.load_json(payload)
        # Event objects are full of numbers that measure nothing; Domoticz packs values into a text by device type.
        if _EVENTS.fullmatch(topic) or (isinstance(document, dict) and "idx" in document and "nvalue" in document):
            return []
        if topic.startswith("homeassistant/"):
            topic = topic.removesuffix("/state")  # the state of an entity whose discovery was not heard
        return documents.readings(topic, document, now)


class Scalar:
    """One plain value a topic: number, number with unit, ON, open; its unit may come on a sibling topic `…/unit`."""

    family = "scalar"

    def __init__(self) -> None:
        self._units: Bounded[str, str] = Bounded(5000)

    def recognises(self, topic: str, payload: bytes) -> bool:
        return True

    def claims(self, topic: str) -> bool:
        return topic.endswith(("/unit", *_AVAILABILITY)) and topic[0] != "$"

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        if topic.endswith(_AVAILABILITY):
            online = numbers.availability(payload)
            return () if online is None else (DeviceState(topic.rpartition("/")[0], online),)
        if len(payload) <= 32 and len(topic) <= MAX_KEY:
            unit = units.known_unit(payload.decode("utf-8", "replace"))
            if unit is not None:
                self._units[topic.removesuffix("/unit")] = unit
        return ()

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        if not payload or topic.startswith("$") or topic.endswith((*_NOT_DATA, "/unit")):
            return []
        if payload.startswith(_IMAGES):
            return []
        if not topic.strip("/"):
            raise DecodeError("the topic names nothing")
        device, quantity, unit = documents.place(topic)
        strict = quantities.QUANTITIES.get(quantity) is not None
        text = _text(payload)
        if text is None:
            if strict or len(payload) <= numbers.MAX_TEXT:
                raise DecodeError("neither a plain value nor a document that is known")
            return []
        channel = None
        base = topic.removesuffix("/value")
        if base is not topic and base in self._units:
            device, _, channel = base.rpartition("/")
            unit = self._units[base]
            quantity = BY_UNIT.get(unit) or quantities.quantity(channel)
        elif topic in self._units:
            unit = self._units[topic]
        if text.lower() in numbers.NO_VALUE:
            return []
        measured = numbers.measured(text)
        if measured is not None:
            value, unit = measured[0], measured[1] or unit
            dead = documents.is_dead(quantity, value, unit)
            return [] if dead else [Reading(device, channel, quantity, value, unit, None)]
        if strict:
            raise DecodeError(f"a number was expected, not {text[:40]!r}")
        if text.lower() in _STATES or topic.endswith(_AVAILABILITY):
            return []
        on = numbers.truth(text)
        return [] if on is None else [Reading(device, channel, quantity, on, None, None)]


def _text(payload: bytes) -> str | None:
    """The payload as short text without quotes and a terminating NUL; None if it is none."""
    if len(payload) > numbers.MAX_TEXT:
        return None
    try:
        text = payload.decode().rstrip("\0").strip()
    except UnicodeDecodeError:
        return None
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    if not text and payload.strip() != b'""' and payload.strip(b" \t\r\n"):
        return None
    return None if _CONTROL.search(text) else text
