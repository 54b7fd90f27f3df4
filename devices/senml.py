"""SenML in JSON and CBOR (RFC 8428), with the units of RFC 8798 and the version rule of RFC 9100.

A reading's channel is the full resolved name (base name and name); the device is the base name without its separator.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from devices.cbor import fraction, load_cbor
from devices.numbers import MAX_JSON, is_number, load_json, plausible
from devices.quantities import QUANTITIES, quantity
from devices.reading import DecodeError, DeviceState, Reading, Value

MAX_RECORDS = 2048
_VERSION = 10
_SECONDARY_UNITS = 1 << 4  # RFC 9100, section 3: the only feature beyond version 10 that is registered
_RELATIVE = 2.0**28  # times below are offsets from now (RFC 8428, section 4.5.3)
_SEPARATORS = ":/_.-"

# RFC 8428, table 6 (CBOR labels)
_LABELS: dict[object, str] = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip

# The registry's own spellings; here C is coulomb and F farad, so the tolerant table of units is of no use.
_UNITS: dict[str, str | None] = {
    "Cel": "°C", "%RH": "%", "%EL": "%", "EL": "s", "lon": "°", "lat": "°", "deg": "°", "/": None, "Ohm": "Ω",
    "l": "L", "l/s": "L/s", "m2": "m²", "m3": "m³", "m3/s": "m³/s", "m3/h": "m³/h", "m/s2": "m/s²", "W/m2": "W/m²",
    "cd/m2": "cd/m²", "kg/m3": "kg/m³", "ug/m3": "µg/m³", "VAs": "VA·s", "vars": "var·s",
}  # fmt: skip

# What a unit of the registry measures when the name does not say it.
_MEASURES = {
    "Cel": "temperature", "K": "temperature", "%RH": "humidity", "%EL": "battery", "lx": "illuminance",
    "Pa": "pressure", "hPa": "pressure", "V": "voltage", "mV": "voltage", "A": "current", "mA": "current",
    "W": "power", "kW": "power", "VA": "apparent_power", "kVA": "apparent_power", "var": "reactive_power",
    "kvar": "reactive_power", "J": "energy", "Wh": "energy", "kWh": "energy", "Hz": "frequency", "MHz": "frequency",
    "lon": "longitude", "lat": "latitude", "m": "distance", "mm": "distance", "cm": "distance", "km": "distance",
    "m/s": "speed", "km/h": "speed", "dBm": "signal_strength", "kg": "weight", "g": "weight", "m3": "volume",
    "l": "volume", "mm/h": "precipitation_intensity", "ug/m3": "concentration", "/": "ratio", "pH": "ph",
    "count": "count", "rad": "angle", "EL": "battery_remaining",
}  # fmt: skip
_NAMES = {"rh": "humidity", "p": "pressure"}


class Senml:
    """Decoder of sensor measurement lists. No state: every pack is complete."""

    family = "senml"

    def recognises(self, topic: str, payload: bytes) -> bool:
        """A topic with a level of "senml", or a JSON array whose first record has SenML's labels."""
        levels = topic.lower().split("/")
        if any(level.startswith("senml") for level in levels):
            return True
        if payload[:1] != b"[" or len(payload) > MAX_JSON:
            return False
        try:
            pack = load_json(payload)
        except DecodeError:
            return False
        first = pack[0] if isinstance(pack, list) and pack else None
        if not isinstance(first, dict) or not all(isinstance(key, str) for key in first):
            return False
        return bool(first.keys() & {"bn", "n"}) and first.keys() <= _KNOWN and len(first) > 1

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return []

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The pack's numbers and truths. Raises DecodeError for what RFC 8428 says must not be processed."""
        if not payload:
            return []
        text = payload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")
        pack = load_json(payload) if text else load_cbor(payload)
        if not isinstance(pack, list):
            raise DecodeError("a SenML pack is an array of records")
        if len(pack) > MAX_RECORDS:
            raise DecodeError(f"{len(pack)} records are more than the {MAX_RECORDS} that a pack may have")
        base = _Base()
        readings: list[Reading] = []
        seen: set[tuple[str, str, float | None]] = set()
        for item in pack:
            reading = base.resolve(_record(item), now)
            if reading is not None and (key := (reading.channel or "", reading.quantity, reading.time)) not in seen:
                seen.add(key)
                readings.append(reading)
        return readings


_KNOWN = frozenset((*_LABELS.values(), "ver", "l"))


def _record(item: object) -> dict[str, object]:
    if not isinstance(item, dict):
        raise DecodeError("a SenML record is an object")
    record: dict[str, object] = {}
    for key, value in item.items():
        label = _LABELS.get(key, key) if not isinstance(key, bool) else key
        if not isinstance(label, str):
            continue
        if label.endswith("_"):
            raise DecodeError(f"the label {label[:64]!r} must be understood, and is not")
        record[label] = value
    return record


class _Base:
    """The base fields: each holds from its record on, until another replaces it (RFC 8428, section 4.6)."""

    def __init__(self) -> None:
        self.name = ""
        self.time: float | None = None
        self.unit: str | None = None
        self.value: int | float = 0
        self.sum: int | float = 0

    def resolve(self, record: dict[str, object], now: float) -> Reading | None:
        self._take(record)
        values = [label for label in ("v", "vs", "vb", "vd") if label in record]
        if len(values) > 1:
            raise DecodeError(f"a record has {' and '.join(values)}: only one value is allowed")
        if not values and "s" not in record:
            return None
        name = _text(record, "n") or ""
        full = self.name + name
        if not full:
            raise DecodeError("a record without a name, and no base name")
        stated = _text(record, "u", 64) or self.unit
        time = self._time(record, now)
        held = values[0] if values else "s"
        value: Value
        if held == "vb":
            flag = record["vb"]
            if not isinstance(flag, bool):
                raise DecodeError("vb must be true or false")
            value = flag
        elif held in ("v", "s"):
            number = _number(record, held)
            total = None if number is None else _total(number, self.value if held == "v" else self.sum)
            if total is None:
                return None
            value = total
        else:
            return None
        device, what = _split(self.name, name, stated)
        unit = None if stated is None else _UNITS.get(stated, stated)
        if held == "s":
            # A sum is the integral of the values over time (RFC 8428, section 4.2), so its unit has a second in it.
            what, unit = f"{what}_sum", f"{unit}·s" if unit else None
        return Reading(device, full, what, value, unit, time)

    def _take(self, record: dict[str, object]) -> None:
        if "bver" in record:
            version = record["bver"]
            if type(version) is not int:
                raise DecodeError("bver must be an integer")
            if version > _VERSION and version != _VERSION | _SECONDARY_UNITS:
                raise DecodeError(f"SenML version {version} is not understood, only {_VERSION} and RFC 8798's units")
        if "bn" in record:
            self.name = _text(record, "bn") or ""
        if "bu" in record:
            self.unit = _text(record, "bu", 64)
        if "bt" in record:
            self.time = _finite_or_nan(record, "bt")
        if "bv" in record:
            self.value = _finite_or_nan(record, "bv")
        if "bs" in record:
            self.sum = _finite_or_nan(record, "bs")

    def _time(self, record: dict[str, object], now: float) -> float | None:
        offset = _finite_or_nan(record, "t") if "t" in record else None
        if offset is None and self.time is None:
            return None
        time = (self.time or 0) + (offset or 0)
        return plausible(float(now + time if time < _RELATIVE else time), now)


def _split(base: str, name: str, stated: str | None) -> tuple[str, str]:
    """Device and quantity of a record: from the name's last part, else from what the unit measures."""
    measured = _MEASURES.get(stated or "", "value")
    if base and name:
        last = _last(name)
        return base.rstrip(_SEPARATORS) or base, _NAMES.get(last.lower()) or quantity(last) or measured
    full = base + name
    last = _last(full)
    what = _NAMES.get(last.lower()) or quantity(last)
    if what in QUANTITIES:
        return full[: -len(last)].rstrip(_SEPARATORS) or full, what
    return full.rstrip(_SEPARATORS) or full, measured


def _last(name: str) -> str:
    at = max(name.rfind(separator) for separator in ":/.") + 1
    return name[at:] or name


def _text(record: dict[str, object], label: str, longest: int = 1024) -> str | None:
    value = record.get(label)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise DecodeError(f"{label} must be text of at most {longest} characters")
    return value or None


def _number(record: dict[str, object], label: str) -> int | float | None:
    """The number of a field; None for NaN and infinity, which CBOR can say. Raises DecodeError for anything else."""
    value = record[label]
    if isinstance(value, Decimal):
        value = fraction(value)
    if isinstance(value, bool | str | bytes | list | dict | datetime) or not isinstance(value, int | float | None):
        raise DecodeError(f"{label} must be a number")
    return value if is_number(value) else None


def _finite_or_nan(record: dict[str, object], label: str) -> int | float:
    """A number that others are added to: a NaN must poison the sum, never count as zero."""
    value = _number(record, label)
    return math.nan if value is None else value


def _total(value: int | float, base: int | float) -> int | float | None:
    """value + base in decimal, as the sender means it: 20.1 + 0.2 is 20.3, not 20.300000000000001."""
    if not base:
        return value
    if isinstance(value, int) and isinstance(base, int):
        return value + base if is_number(value + base) else None
    total = float(Decimal(repr(value)) + Decimal(repr(base)))
    return total if math.isfinite(total) else None
