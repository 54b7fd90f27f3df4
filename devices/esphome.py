"""ESPHome: `<topic_prefix>/<component>/<object_id>/state`, plain text.

Source: esphome.io "MQTT client component". Neither unit nor class is on the wire; Home Assistant's discovery, where it
was heard, adds them (see the registry).
"""

from collections.abc import Sequence

from devices import numbers, quantities
from devices.reading import DecodeError, DeviceState, Reading

_COMPONENTS = frozenset({
    "sensor", "binary_sensor", "text_sensor", "switch", "number", "light", "fan", "cover", "select", "climate", "lock",
    "button", "event", "valve", "update", "text", "date", "time", "datetime", "alarm_control_panel",
})  # fmt: skip
# (component, level below the object) → quantity and unit, which these have on the wire; the other levels are settings.
_MEASURED = {
    ("climate", "current_temperature"): ("temperature", "°C"),
    ("climate", "current_humidity"): ("humidity", "%"),
    ("cover", "position"): ("position", "%"),
    ("valve", "position"): ("position", "%"),
}
_LEVELS = frozenset((
    *(level for _, level in _MEASURED), "tilt", "mode", "action", "fan_mode", "swing_mode", "preset",
    "target_temperature", "target_temperature_low", "target_temperature_high", "target_humidity", "speed_level",
    "oscillation", "direction",
))  # fmt: skip


class EspHome:
    """Decodes sensors, binary sensors, switches, lights, what climates and covers measure; keeps no state."""

    family = "esphome"

    def recognises(self, topic: str, payload: bytes) -> bool:
        if topic.endswith("/debug"):
            return payload[:2] == b"\x1b["  # the log, coloured
        levels = topic.rsplit("/", 3)
        if len(levels) < 4 or levels[3] not in ("state", "command"):
            return False
        if levels[1] not in _COMPONENTS:
            return _below(topic) is not None
        # Others keep states below the discovery prefix, and JSON in them; ESPHome sends JSON for lights and the like.
        if levels[0].startswith("homeassistant"):
            return False
        return payload[:1] != b"{" or levels[1] not in ("sensor", "binary_sensor")

    def claims(self, topic: str) -> bool:
        return topic.endswith("/status") and not topic.startswith("shellies/")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        online = {b"online": True, b"offline": False}.get(payload)
        return () if online is None else (DeviceState(topic.removesuffix("/status"), online),)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        levels = topic.rsplit("/", 3)
        if len(levels) < 4 or levels[3] != "state" or not payload:
            return []
        device, component, name, _ = levels
        below = _below(topic)
        if below is not None:
            device, component, name, level = below
            meant, value = _MEASURED.get((component, level)), numbers.number(_text(payload))
            return [] if meant is None or value is None else [Reading(device, name, meant[0], value, meant[1], None)]
        if component == "light":
            on = numbers.truth(numbers.load_object(payload).get("state"))
            return [] if on is None else [Reading(device, name, "switch", on, None, None)]
        text = _text(payload)
        if component == "sensor":
            value = numbers.number(text)
            # Text sensors publish below sensor/ as well: text is no error.
            return [] if value is None else [Reading(device, None, quantities.quantity(name), value, None, None)]
        if component in ("binary_sensor", "switch"):
            on = {"ON": True, "OFF": False}.get(text.strip())
            if on is None:
                return []
            if component == "switch":
                return [Reading(device, name, "switch", on, None, None)]
            return [Reading(device, None, quantities.quantity(name), on, None, None)]
        return []


def _below(topic: str) -> tuple[str, str, str, str] | None:
    """(prefix, component, object, level) of `<prefix>/<component>/<object>/<level>/state`: climates, covers."""
    levels = topic.rsplit("/", 4)
    if len(levels) < 5 or levels[3] not in _LEVELS or levels[1] not in _COMPONENTS or levels[2] in _COMPONENTS:
        return None
    return levels[0], levels[1], levels[2], levels[3]


def _text(payload: bytes) -> str:
    """A plain value. Raises DecodeError for what can be none."""
    try:
        text = payload.decode() if len(payload) <= numbers.MAX_TEXT else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise DecodeError("a plain value of at most 256 bytes was expected")
    return text
