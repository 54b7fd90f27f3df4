"""rtl_433: `rtl_433/<host>/events` as JSON, `rtl_433/<host>/devices/<model>/…/<key>` as plain values.

Source: rtl_433 docs/DATA_FORMAT.md (keys are <type>_<unit>) and INTEGRATION.md (topic layouts, which are free). A
message is repeated two to six times on the air; each is decoded, repeats are left to whoever counts.
"""

from collections.abc import Sequence

from devices.numbers import MAX_TEXT, availability, is_number, load_object, number, timestamp, truth
from devices.quantities import quantity
from devices.reading import DecodeError, DeviceState, Reading, Value

_UNITS: dict[str, str] = {
    "C": "°C", "F": "°F", "K": "K", "hPa": "hPa", "kPa": "kPa", "PSI": "psi", "psi": "psi", "bar": "bar",
    "inHg": "inHg", "m_s": "m/s", "km_h": "km/h", "kph": "km/h", "mi_h": "mph", "mph": "mph", "mm": "mm", "in": "in",
    "cm": "cm", "m": "m", "km": "km", "mm_h": "mm/h", "in_h": "in/h", "W": "W", "kW": "kW", "Wh": "Wh", "kWh": "kWh",
    "VA": "VA", "V": "V", "mV": "mV", "A": "A", "mA": "mA", "lux": "lx", "klux": "klx", "klx": "klx", "deg": "°",
    "dB": "dB", "dBm": "dBm", "Hz": "Hz", "MHz": "MHz", "ppm": "ppm", "ppb": "ppb", "ug_m3": "µg/m³", "kg": "kg",
    "s": "s", "m3": "m³", "L": "L", "l": "L", "gal": "gal", "uS_cm": "µS/cm", "W_m2": "W/m²",
    "pct": "%", "percent": "%",
}  # fmt: skip
# What is left of a key without its unit, where the name is not the quantity.
_NAMES: dict[str, tuple[str | None, str]] = {
    # stem: (channel, quantity)
    "wind_avg": (None, "wind_speed"), "wind_max": (None, "wind_gust"), "gust": (None, "wind_gust"),
    "wind_dir": (None, "wind_direction"), "rain": (None, "precipitation"), "rain_total": (None, "precipitation"),
    "rain_rate": (None, "precipitation_intensity"), "light": (None, "illuminance"), "storm_dist": (None, "distance"),
    "strike_distance": (None, "distance"), "depth": (None, "distance"), "uv": (None, "uv_index"),
    "uvi": (None, "uv_index"), "pm2_5": (None, "pm25"), "estimated_pm10_0": (None, "pm10"), "pm10_0": (None, "pm10"),
    "pm1_0": (None, "pm1"), "pm4_0": (None, "pm4"), "co2": (None, "carbon_dioxide"),
}  # fmt: skip
# Measured quantities that a qualifier may follow or precede: current_used_A, temperature_2_C, supercap_V.
_STEMS = (
    "temperature", "humidity", "pressure", "current", "power", "voltage", "energy", "moisture", "frequency", "depth",
    "distance",
)  # fmt: skip
_PLAIN: dict[str, tuple[str, str | None]] = {
    # keys without a unit in their name: (quantity, unit that the documentation fixes)
    "humidity": ("humidity", "%"), "moisture": ("moisture", "%"), "uvi": ("uv_index", None), "uv": ("uv_index", None),
    "uv_index": ("uv_index", None), "temperature": ("temperature", None), "pressure": ("pressure", None),
    "strike_count": ("strike_count", None), "co2": ("carbon_dioxide", None),
}  # fmt: skip
_TRUTHS: dict[str, str] = {
    "tamper": "tamper", "motion": "motion", "detect_wet": "water_leak", "water": "water_leak", "leak": "water_leak",
    "opened": "opening", "contact_open": "opening", "reed_open": "opening", "battery_low": "battery_low",
}  # fmt: skip
_WORLD = "rtl_433"
_ON_ESP = "RTL_433toMQTT"  # OpenMQTTGateway with rtl_433_ESP: the same JSON below a level of its own


class Rtl433:
    """Decoder of rtl_433's MQTT output. A device is model/id, or what the topic has in their place. No state."""

    family = "rtl_433"

    def recognises(self, topic: str, payload: bytes) -> bool:
        levels = topic.split("/")
        return _WORLD in levels[:-1] or _ON_ESP in levels[1:]

    def claims(self, topic: str) -> bool:
        return topic.endswith("/availability") and _WORLD in topic.split("/")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """The receiver's availability. Raises DecodeError for an unknown word."""
        if not payload:
            return []
        online = availability(payload)
        if online is None:
            raise DecodeError("availability is online or offline")
        return [DeviceState(topic.split("/")[-2], online)]

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """One event's readings, or the one of a plain topic. Raises DecodeError for an event that is no JSON object."""
        if not payload or topic.endswith("/availability"):
            return []
        levels = topic.split("/")
        if levels[-1] == "states":
            return []  # the receiver's own statistics
        if levels[-1] == "events" or _ON_ESP in levels or payload[:1] == b"{":
            return _event(load_object(payload), levels, now)
        return _plain(levels, payload)


def _event(body: dict[str, object], levels: list[str], now: float) -> list[Reading]:
    names = [text for text in (_name(body.get("model")), _name(body.get("id"))) if text]
    device = "/".join(names) or "/".join(levels)
    channel = _name(body.get("channel"))
    time = timestamp(body.get("time"), now)
    readings: dict[tuple[str | None, str], Reading] = {}
    for key, value in body.items():
        found = _measured(key, value)
        if found is None:
            continue
        part, what, number, unit = found
        place = channel if part is None else part if channel is None else f"{channel}.{part}"
        readings.setdefault((place, what), Reading(device, place, what, number, unit, time))
    for key, what, unit in _signal(body):
        readings.setdefault((channel, what), Reading(device, channel, what, body[key], unit, time))  # type: ignore[arg-type]
    return list(readings.values())


def _signal(body: dict[str, object]) -> list[tuple[str, str, str]]:
    """rtl_433 gives levels in dB below full scale and the noise with them, rtl_433_ESP a plain rssi in dBm."""
    found = []
    if is_number(body.get("rssi")):
        found.append(("rssi", "signal_strength", "dB" if "noise" in body else "dBm"))
    if is_number(body.get("snr")):
        found.append(("snr", "snr", "dB"))
    return found


def _plain(levels: list[str], payload: bytes) -> list[Reading]:
    key = levels[-1]
    if len(payload) > MAX_TEXT:
        raise DecodeError(f"{len(payload)} bytes are no plain value")
    text = payload.decode("utf-8", "replace")
    # Text and ids stand in topics of their own, one beside each value: only a number is a measurement.
    value = number(text)
    if value is None and key in _TRUTHS:
        value = truth(text)
    found = None if value is None else _measured(key, value)
    if found is None:
        return []
    start = levels.index(_WORLD) + 1 if _WORLD in levels else 0  # absent where the configuration names the family
    rest = levels[start:-1]
    if "devices" in rest:
        rest = rest[rest.index("devices") + 1 :]
    part, what, number_, unit = found
    return [Reading("/".join(rest) or "/".join(levels[:-1]), part, what, number_, unit, None)]


def _name(value: object) -> str | None:
    """A model, id or channel as text: ids are numbers or hex text, and no number is ever made of them."""
    if isinstance(value, str):
        return value[:64] or None
    return str(value) if type(value) is int else None


def _measured(key: str, value: object) -> tuple[str | None, str, Value, str | None] | None:
    """(channel, quantity, value, unit) of a key, None for what is no measurement (flags, counters, raw data)."""
    if key == "battery_ok":
        return _battery(value)
    if key in _TRUTHS:
        flag = truth(value)
        return None if flag is None else (None, _TRUTHS[key], flag, None)
    if not is_number(value) or len(key) > 64:
        return None
    plain = _PLAIN.get(key)
    if plain is not None:
        return None, plain[0], value, plain[1]  # type: ignore[return-value]
    stem, unit = split(key)
    if unit is None:
        return None
    channel, what = _named(stem, unit)
    if not what:
        return None
    return channel, what, value, unit  # type: ignore[return-value]


def _battery(value: object) -> tuple[str | None, str, Value, str | None] | None:
    """A level between 0 and 1, of which the ends may also be all that a sensor can say: those are a truth."""
    flag = truth(value)
    if flag is not None:
        return None, "battery_ok", flag, None
    if is_number(value) and 0 < value < 1:  # type: ignore[operator]
        return None, "battery", round(value * 100, 6), "%"  # type: ignore[operator]
    return None


def split(key: str) -> tuple[str, str | None]:
    """A key as (type, unit): wind_avg_km_h → (wind_avg, km/h); unit None where the key ends in none."""
    parts = key.rsplit("_", 2)
    if len(parts) == 3 and parts[0] and (unit := _UNITS.get(f"{parts[1]}_{parts[2]}")):
        return parts[0], unit
    parts = key.rsplit("_", 1)
    if len(parts) == 2 and parts[0] and (unit := _UNITS.get(parts[1])):
        return parts[0], unit
    return key, None


def _named(stem: str, unit: str) -> tuple[str | None, str]:
    if stem in _NAMES:
        return _NAMES[stem]
    if stem in ("battery", "supercap") and unit in ("V", "mV"):
        return (None if stem == "battery" else stem), "voltage"
    for name in _STEMS:
        # battery_mV and the like are told by their name, current_used_A and temperature_2_C by what follows it.
        if stem.startswith(name + "_"):
            return stem[len(name) + 1 :], name
    return None, quantity(stem)
