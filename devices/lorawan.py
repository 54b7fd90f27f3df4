"""What LoRaWAN codecs say: decoded uplinks of any shape, whose units stand in their keys if anywhere.

Shared by The Things Stack and ChirpStack. Every manufacturer names things anew (BatV, TempC_SHT, distance_cm,
barometric_pressure_0), so a key is taken apart into a quantity and a unit; the channel is the key path.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from devices.numbers import is_number, number, timestamp, truth
from devices.quantities import QUANTITIES, quantity, snake
from devices.reading import Reading, Value
from devices.units import unit

MAX_READINGS = 500  # of one uplink: a LoRaWAN frame has at most 242 bytes
MAX_KEYS = 2000  # looked at, whether they are readings or not
MAX_NAME = 64  # characters of a key: what is longer was not named by a codec

# Keys that tell about the frame or the firmware, not about the world.
_ASIDE = re.compile(
    r"f?port|sys_?timestamp|timestamp|time|ts|freq_?band|sub_?band|sensor_?model|model|firmware.*|hardware.*|.*version|"
    r"payload_?ver|ext|node_?type|err(or)?|valid|length|frame.*|f_?cnt|msg_?type|device_?id|measurement_?id",
    re.IGNORECASE,
)
_TIMES = ("time", "timestamp", "ts")
# A unit at the end of a key: behind an underscore, or glued on with its own capital letter.
_SUFFIX = re.compile(
    r"(?P<stem>.+?)(?:_(?P<under>mV|V|mA|A|cm|mm|m|km|C|F|hPa|kPa|Pa|ppm|ppb|lux|lx|kW|W|kWh|Wh|Hz|deg|percent|pct|dBm|dB|"
    r"kmh|kmph|mps|L|m3|mm_h|m_s|km_h)|(?<=[a-z])(?P<glued>Kmph|Kmh|Deg|Percent|Lux|Ppm|MV|mV|mA|V)|(?<=[0-9])(?P<digit>V))"
)
_TEMPERATURE = re.compile(r"(?:.*_)?[Tt](?:emp|EMP|emperature)_?([CF])(?:[0-9]*|_.*)")
_SPELLINGS = {"kmph": "km/h", "mps": "m/s", "pct": "%", "m_s": "m/s", "km_h": "km/h", "mm_h": "mm/h"}
_MEANS = {
    "V": "voltage", "mV": "voltage", "A": "current", "mA": "current", "°C": "temperature", "°F": "temperature",
    "Pa": "pressure", "hPa": "pressure", "kPa": "pressure", "lx": "illuminance", "W": "power", "kW": "power",
    "Wh": "energy", "kWh": "energy", "Hz": "frequency", "cm": "distance", "mm": "distance", "km": "distance",
    "km/h": "speed", "m/s": "speed", "dBm": "signal_strength",
}  # fmt: skip
# One letter behind an underscore is a unit only where the name wants it: Phase_A is no current.
_WANTS = {"A": ("current", "aci", "curr"), "m": ("distance", "level", "depth", "altitude", "height"),
          "C": ("temp",), "F": ("temp",), "W": ("power",), "L": ("volume", "water"), "V": ()}  # fmt: skip
_KEYS: dict[str, tuple[str, str | None]] = {
    "bat": ("voltage", "V"), "bat_v": ("voltage", "V"), "vbat": ("voltage", "V"), "volt": ("voltage", "V"),
    "vdd": ("voltage", "mV"), "batteryvoltage": ("voltage", "V"), "water_soil": ("moisture", "%"),
    "rh": ("humidity", "%"), "humi": ("humidity", "%"), "remaining_capacity": ("remaining_capacity", "mAh"),
    "light_intensity": ("illuminance", None), "wind_direction_sensor": ("wind_direction", None),
    "temp_soil": ("temperature", "°C"), "conduct_soil": ("conductivity", "µS/cm"),
}  # fmt: skip
_PLACES = ("air", "soil", "ambient", "water", "room", "indoor", "outdoor", "external", "internal", "battery", "board")
# Words behind a quantity that only say which probe it was.
_PROBES = re.compile(r"\d+|sht\d*|ds\d*b?\d*|soil|ext|int|air|probe\d*|ch\d+|chip|red|white|black|internal|external")
_DEFAULTS = {"temperature": "°C", "humidity": "%", "voltage": "V", "latitude": "°", "longitude": "°", "altitude": "m"}
_DOORS = frozenset(("door_status", "door_open_status", "magnet_status", "door", "window_status"))
# What 16-bit registers say when no probe is there (0x7FFF, 0xFFFF), by scale.
_SENTINELS = {
    "temperature": frozenset((327.67, -327.68, 3276.7, -3276.8, 655.35, 6553.5)),
    "humidity": frozenset((327.67, 655.35, 6553.5)),
    "distance": frozenset((65535, 65535.0)),
}
_NO_PROBE = -0.1  # 0xFFFF in Dragino's codecs, and a real temperature: told by several probes saying it at once


def decoded(device: str, document: object, time: float | None, now: float) -> list[Reading]:
    """The measurements in a codec's output; `time` is the uplink's, records with a time of their own keep that."""
    readings: dict[tuple[str, str, float | None], Reading] = {}
    for channel, what, value, stated, at in _Walk(now).below(document, "", "", False, time):
        readings.setdefault((channel, what, at), Reading(device, channel, what, value, stated, at))
        if len(readings) >= MAX_READINGS:
            break
    found = list(readings.values())
    absent = [reading for reading in found if reading.quantity == "temperature" and reading.value == _NO_PROBE]
    return [reading for reading in found if reading not in absent] if len(absent) > 1 else found


Found = tuple[str, str, Value, str | None, float | None]


class _Walk:
    """One look at a document. `left` counts down the keys, so that no shape of document takes long."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.left = MAX_KEYS

    def below(self, node: object, path: str, key: str, listed: bool, time: float | None) -> Iterator[Found]:
        """All measurements below a node. Within a list a channel is the record, elsewhere the full path of the key."""
        if isinstance(node, list):
            for index, item in enumerate(node[: max(self.left, 0)]):
                self.left -= 1
                # A list of bare numbers is raw bytes or a spectrum: nothing in it has a name.
                if isinstance(item, dict | list):
                    yield from self.below(item, _join(path, str(index)), key, True, time)
            return
        if not isinstance(node, dict):
            return
        if listed:
            time = next((at for name in _TIMES if (at := timestamp(node.get(name), self._now)) is not None), time)
        named = _pair(node, path, key)
        if named is not None:
            yield (*named, time)
            return
        for name, value in node.items():
            self.left -= 1
            if self.left < 0:
                return
            if len(name) > MAX_NAME:
                continue
            below = _join(path, name)
            if isinstance(value, dict | list):
                yield from self.below(value, below, name, listed, time)
                continue
            # Cayenne's codecs nest a value under its channel's number: {"temperature": {"1": 21.4}}.
            what, stated = classify(key if name.isdigit() and key else _axis(key, name))
            measured = _value(name, what, value)
            if measured is not None and what:
                yield path if listed and path else below, what, measured, stated, time


def _pair(node: dict[str, object], path: str, key: str) -> tuple[str, str, Value, str | None] | None:
    """{"value": 21.5, "unit": "°C"} below its name, or {"type": "Air Temperature", "measurementValue": 21.5}."""
    for held, naming in (("measurementValue", "type"), ("value", "type"), ("value", "name"), ("value", "")):
        value = node.get(held)
        label = node.get(naming) if naming else key
        if is_number(value) and isinstance(label, str) and label:
            what, stated = classify(label)
            if not what:
                continue
            return path, what, value, unit(node.get("unit")) or stated  # type: ignore[return-value]
    return None


def _axis(key: str, name: str) -> str:
    return "acceleration" if name in ("x", "y", "z") and key.lower().startswith("accel") else name


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _value(key: str, what: str, value: object) -> Value | None:
    if _ASIDE.fullmatch(key):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if snake(key) in _DOORS:
            return truth(value)
        # Some codecs write numbers as text; of unknown keys that may be anything ("100" is a firmware).
        parsed = number(value) if what in QUANTITIES and len(value) <= 32 else None
        if parsed is None:
            return None
        value = parsed
    if not is_number(value) or value in _SENTINELS.get(what, ()):
        return None
    if what in ("opening", "tamper", "motion", "occupancy", "presence", "water_leak"):
        return truth(value)
    return value  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def _classify(key: str) -> tuple[str, str | None]:
    plain = snake(key)
    if plain in _KEYS:
        return _KEYS[plain]
    if plain in _DOORS:
        return "opening", None
    found = _TEMPERATURE.fullmatch(key)
    if found is not None:
        return "temperature", "°C" if found[1] == "C" else "°F"
    suffix = _SUFFIX.fullmatch(key)
    if suffix is not None:
        stated = suffix["under"] or suffix["glued"] or suffix["digit"]
        wanted = _WANTS.get(stated)
        stem = suffix["stem"]
        if not wanted or any(word in stem.lower() for word in wanted):
            spelling = unit(_SPELLINGS.get(stated.lower(), stated if len(stated) < 3 else stated.replace("MV", "mV")))
            base = _base(snake(stem))
            means = _MEANS.get(spelling or "")
            if base is None or (means is not None and base in ("battery", "humidity")):
                base = means or snake(stem)
            return base, spelling
    base = _base(plain)
    if base is not None:
        return base, _DEFAULTS.get(base)
    return plain, "V" if "voltage" in plain and "_" not in plain else None


def classify(key: str) -> tuple[str, str | None]:
    """A codec's key as (quantity, unit): TempC_SHT → (temperature, °C), BatV → (voltage, V), co2 → (…, None)."""
    return _classify(key) if len(key) <= MAX_NAME else (snake(key), None)


def _base(plain: str) -> str | None:
    """The known quantity that the last words of a name say: ambient_temperature, temperature_0, airhumidity."""
    words = plain.split("_")
    while len(words) > 1 and _PROBES.fullmatch(words[-1]):
        words.pop()
    for count in (3, 2, 1):
        if count <= len(words):
            what = quantity("_".join(words[-count:]))
            if what in QUANTITIES:
                return what
    for place in _PLACES:
        if words[-1].startswith(place):
            what = quantity(words[-1][len(place) :])
            if what in QUANTITIES:
                return what
    return None
