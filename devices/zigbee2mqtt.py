"""Zigbee2MQTT: `<base>/<friendly name>`, one JSON object a device, or one topic a property.

Sources: zigbee2mqtt.io "MQTT topics and messages", "Exposes", "Settings" (output, last_seen, availability). Units are
on the wire in one place only, the retained `<base>/bridge/devices`; without it the usual unit of a property counts.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from devices import numbers, quantities, units
from devices.bounded import MAX_KEY, Bounded
from devices.reading import DecodeError, DeviceState, Reading

_MAX_DEVICES = 2000  # Zigbee itself ends far below that
_MAX_PROPERTIES = 200
_MAX_BASES = 16

_NO_MEASUREMENT = frozenset(
    ("action", "update", "update_available", "device", "elapsed", "last_seen", "color", "state", "temperature_units")
)
_SETTING = re.compile(
    r".*_(?:calibration|setpoint|timeout|delay|threshold|sensitivity|interval|offset|limit|duration|memory|precision)"
    r"|(?:countdown|min|max)_.*|.*_(?:min|max)|countdown|transition|preset|comfort_.*|eco_.*|away_.*|.*_lock"
)
_USUAL: dict[str, tuple[str, str | None]] = {
    # property: (quantity, usual unit). formaldehyde and voc differ per model: no unit without exposes.
    "temperature": ("temperature", "°C"), "device_temperature": ("device_temperature", "°C"),
    "local_temperature": ("local_temperature", "°C"), "soil_temperature": ("soil_temperature", "°C"),
    "humidity": ("humidity", "%"), "soil_moisture": ("moisture", "%"), "moisture": ("moisture", "%"),
    "pressure": ("pressure", "hPa"), "illuminance": ("illuminance", "lx"), "illuminance_lux": ("illuminance", "lx"),
    "illuminance_raw": ("illuminance_raw", None), "co2": ("carbon_dioxide", "ppm"), "eco2": ("eco2", "ppm"),
    "formaldehyd": ("formaldehyde", None), "hcho": ("formaldehyde", None), "formaldehyde": ("formaldehyde", None),
    "voc": ("volatile_organic_compounds", None), "pm1": ("pm1", "µg/m³"), "pm10": ("pm10", "µg/m³"),
    "pm25": ("pm25", "µg/m³"), "voltage": ("voltage", "V"), "current": ("current", "A"), "power": ("power", "W"),
    "power_apparent": ("apparent_power", "VA"), "power_reactive": ("reactive_power", "var"), "noise": ("noise", "dB"),
    "ac_frequency": ("frequency", "Hz"), "energy": ("energy", "kWh"), "produced_energy": ("produced_energy", "kWh"),
    "consumed_energy": ("consumed_energy", "kWh"), "battery": ("battery", "%"), "position": ("position", "%"),
    "tilt": ("tilt", "%"), "linkquality": ("link_quality", None),
}  # fmt: skip
_TRUTHS = frozenset({
    "occupancy", "contact", "water_leak", "tamper", "vibration", "battery_low", "smoke", "carbon_monoxide", "gas",
    "presence", "motion", "moving", "window_open", "window", "rain", "sos", "alarm", "garage_door_contact",
})  # fmt: skip
_ACTUATORS = frozenset(("brightness", "position", "tilt", "color_temp"))
_SUFFIX = re.compile(r"(.+?)_(?:phase_[abc]|l\d+|\d+|left|right|top|bottom|center|external|probe|total)")


@lru_cache(maxsize=2048)
def _property(key: str) -> tuple[str, str | None] | None:
    """(quantity, usual unit) of a property, None for what measures nothing."""
    known = _USUAL.get(key)
    if known is not None:
        return known
    if key in _NO_MEASUREMENT or key.startswith("state_") or _SETTING.fullmatch(key):
        return None
    glued = re.fullmatch(r"(.*[^\W\d_])\s*(°[CF]|%|hPa|lx|ppm)", key)
    if glued:
        return quantities.quantity(glued[1]), units.unit(glued[2])
    suffixed = _SUFFIX.fullmatch(key)
    if suffixed and suffixed[1] in _USUAL:
        return quantities.snake(key), _USUAL[suffixed[1]][1]
    kind = _USUAL.get(key.rpartition("_")[2])
    return quantities.quantity(key), None if kind is None else kind[1]


class Zigbee2Mqtt:
    """Decodes device states; learns units from `bridge/devices`, and base topics from any `bridge/…` state."""

    family = "zigbee2mqtt"

    def __init__(self) -> None:
        self.generation = 0  # goes up with every base topic and every sender of actions that becomes known
        self._bases: Bounded[str, None] = Bounded(_MAX_BASES)
        self._bases["zigbee2mqtt"] = None
        # (base, friendly name) → property → (unit, whether it is a setting)
        self._exposed: Bounded[tuple[str, str], dict[str, tuple[str | None, bool]]] = Bounded(_MAX_DEVICES)

    def _split(self, topic: str) -> tuple[str, str] | None:
        """(base, rest) if the topic lies below a known base topic, which may have several levels itself."""
        head, slash, rest = topic.partition("/")
        if slash and head in self._bases:
            return head, rest
        for base in self._bases:
            if len(topic) > len(base) and topic.startswith(base) and topic[len(base)] == "/":
                return base, topic[len(base) + 1 :]
        return None

    def recognises(self, topic: str, payload: bytes) -> bool:
        if self._split(topic) is not None:
            return True
        if topic.endswith(("/bridge/devices", "/bridge/groups", "/bridge/info", "/bridge/event", "/bridge/logging")):
            return True
        # Nobody else sends this key; with it a renamed base is known even before the bridge has spoken.
        return payload[:1] == b"{" and b'"linkquality":' in payload and topic.count("/") == 1

    def claims(self, topic: str) -> bool:
        if topic.endswith(("/bridge/devices", "/bridge/state", "/bridge/info")):
            return True
        return topic.endswith("/availability") and self._split(topic) is not None

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        if topic.endswith("/bridge/devices"):
            self._learn(topic.removesuffix("/bridge/devices"), payload)
            return ()
        if topic.endswith("/bridge/info"):
            if payload:
                self._found(topic.removesuffix("/bridge/info"))
            return ()
        online = numbers.availability(payload)
        split = self._split(topic)
        if online is None:
            return ()
        if topic.endswith("/bridge/state"):
            return (DeviceState("bridge", online),)
        return () if split is None else (DeviceState(split[1].removesuffix("/availability"), online),)

    def _found(self, base: str) -> None:
        if base not in self._bases and len(base) <= MAX_KEY:
            self._bases[base] = None
            self.generation += 1

    def _learn(self, base: str, payload: bytes) -> None:
        if not payload:
            return
        document = numbers.load_json(payload, numbers.MAX_STATE)
        if not isinstance(document, list):
            raise DecodeError("bridge/devices must be a JSON array")
        self._found(base)
        for device in document[:_MAX_DEVICES]:
            if not isinstance(device, dict):
                continue
            name, definition = device.get("friendly_name"), device.get("definition")
            if isinstance(name, str) and len(name) <= MAX_KEY and isinstance(definition, dict):
                properties: dict[str, tuple[str | None, bool]] = {}
                _collect(definition.get("exposes"), properties, 0)
                if ("action" in properties) != ("action" in self._exposed.get((base, name), _NOTHING)):
                    self.generation += 1
                self._exposed[base, name] = properties

    def events(self, topic: str) -> bool:
        """Whether the device behind the topic sends actions (presses, turns) among its states."""
        split = self._split(topic)
        return split is not None and "action" in self._exposed.get(split, _NOTHING)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        split = self._split(topic)
        if split is None:
            base, _, name = topic.partition("/")
        else:
            base, name = split
        if not payload or name.startswith("bridge/") or name.endswith("/availability") or not name:
            return []
        if payload.lstrip()[:1] not in b"{\xef":
            return self._attribute(base, name, payload)
        levels = name.split("/")
        if levels[-1] in ("set", "get") or (len(levels) > 2 and levels[-2] in ("set", "get")):
            return []
        document = numbers.load_object(payload)
        if len(levels) > 1 and levels[-1] in _NO_MEASUREMENT:
            return []  # an object as attribute: color, update
        exposed = self._exposed.get((base, name), _NOTHING)
        seen = document.get("last_seen")
        time = None if seen is None else numbers.timestamp(seen, now)
        out: list[Reading] = []
        for key, value in document.items():
            kind = type(value)
            if value is None or kind is dict or kind is list:
                continue
            if key == "illuminance" and "illuminance_lux" in document:
                continue  # 1.x: raw beside the one in lux
            reading = _reading(name, key, value, exposed, time, document)
            if reading is not None:
                out.append(reading)
        return out

    def _attribute(self, base: str, name: str, payload: bytes) -> list[Reading]:
        """One property a topic (`output: attribute`): the value is plain text."""
        device, slash, key = name.rpartition("/")
        try:
            text = payload.decode() if len(payload) <= numbers.MAX_TEXT else None
        except UnicodeDecodeError:
            text = None
        if not slash or text is None:
            raise DecodeError("a JSON object or the plain value of a property was expected")
        if "set" in name.split("/")[1:] or "get" in name.split("/")[1:]:
            return []
        value: object = numbers.number(text)
        reading = _reading(
            device, key, text if value is None else value, self._exposed.get((base, device), _NOTHING), None, {}
        )
        return [] if reading is None else [reading]


_NOTHING: dict[str, tuple[str | None, bool]] = {}


def _reading(
    device: str,
    key: str,
    value: object,
    exposed: dict[str, tuple[str | None, bool]],
    time: float | None,
    document: dict[str, object],
) -> Reading | None:
    if key == "state" or key.startswith("state_"):
        on = numbers.truth(value) if isinstance(value, str) and value.upper() in ("ON", "OFF") else None
        return None if on is None else Reading(device, key[6:] or None, "switch", on, None, time)
    kind = type(value)
    if key in _TRUTHS:
        on = numbers.truth(value)
        if on is not None:
            return Reading(device, None, key, on, None, time)
    known = _property(key) if len(key) <= 64 else None
    if known is None:
        return None
    quantity, unit = known
    told = exposed.get(key)
    if told is not None:
        if told[1] and key not in _ACTUATORS:
            return None
        unit = told[0]
    if kind is bool:
        if quantities.measures(quantity):
            return None
        return Reading(device, None, quantity, value, None, time)  # type: ignore[arg-type]
    if kind is str:
        if len(value) > 64:  # type: ignore[arg-type]
            return None
        value = numbers.number(value)  # type: ignore[arg-type]
        if value is None:
            return None
    elif kind is int and not numbers.is_number(value):
        return None
    if told is None and quantity == "voltage" and value > (100 if "battery" in document else 1000):  # type: ignore[operator]
        unit = "mV"  # plugs state volts, battery devices millivolts
    if (quantity == "temperature" and value == -327.68) or (quantity == "humidity" and value == 655.35):
        return None  # 0x8000 and 0xffff: "no value" of the Zigbee clusters
    return Reading(device, None, quantity, value, unit, time)  # type: ignore[arg-type]


def _collect(exposes: object, into: dict[str, tuple[str | None, bool]], level: int) -> None:
    """Units of all properties in a tree of exposes; access bit 2 (may be set) without a unit marks a setting."""
    if not isinstance(exposes, list) or level > 4:
        return
    for item in exposes[:_MAX_PROPERTIES]:
        if not isinstance(item, dict):
            continue
        name, access = item.get("property"), item.get("access")
        if isinstance(name, str) and len(name) <= 64 and len(into) < _MAX_PROPERTIES and "features" not in item:
            into[name] = units.unit(item.get("unit")), isinstance(access, int) and bool(access & 2)
        _collect(item.get("features"), into, level + 1)
