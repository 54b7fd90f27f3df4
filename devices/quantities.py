"""Quantities in one spelling: canonical names, and what a key or a topic level says of name and unit.

Names follow Home Assistant's device classes where one exists (developers.home-assistant.io, "Sensor entity"). Pure
tables and look-ups; nothing here knows a device family.
"""

import re
from functools import lru_cache

from devices.units import known_unit

_LONGEST_NAME = 64  # longer names are passed through the slow way, so that no cache can be filled with kilobytes

QUANTITIES: dict[str, str | None] = {
    # canonical name: usual unit, None for a number or a truth without one
    "temperature": "°C", "humidity": "%", "dew_point": "°C", "pressure": "hPa", "sea_level_pressure": "hPa",
    "illuminance": "lx", "carbon_dioxide": "ppm", "eco2": "ppm", "formaldehyde": "mg/m³", "carbon_monoxide": "ppm",
    "volatile_organic_compounds": "µg/m³", "volatile_organic_compounds_parts": "ppb", "pm1": "µg/m³",
    "pm25": "µg/m³", "pm4": "µg/m³", "pm10": "µg/m³", "moisture": "%", "conductivity": "µS/cm", "uv_index": None,
    "voltage": "V", "current": "A", "power": "W", "apparent_power": "VA", "reactive_power": "var",
    "power_factor": None, "frequency": "Hz", "energy": "kWh", "energy_today": "kWh", "energy_yesterday": "kWh",
    "energy_period": "Wh", "energy_returned": "kWh", "battery": "%", "gas_resistance": "kΩ",
    "wind_speed": "km/h", "wind_gust": "km/h", "wind_direction": "°", "precipitation": "mm", "distance": "cm",
    "precipitation_intensity": "mm/h", "speed": "km/h", "latitude": "°", "longitude": "°", "altitude": "m",
    "acceleration": "[g]", "signal_strength": "dBm", "snr": "dB", "link_quality": None, "signal_quality": "%",
    "uptime": "s", "sound_pressure": "dB", "weight": "kg", "volume": "m³", "water": "m³", "gas": "m³", "aqi": None,
    "occupancy": None, "motion": None, "presence": None, "contact": None, "opening": None, "water_leak": None,
    "tamper": None, "vibration": None, "battery_low": None, "battery_ok": None, "overtemperature": None,
    "switch": None, "input": None, "smoke": None, "gas_alarm": None,
}  # fmt: skip

ALIASES: dict[str, str] = {
    # spellings (already in snake case) that mean exactly one quantity whoever says them
    "temp": "temperature", "air_temperature_c": "temperature", "hum": "humidity", "relative_humidity": "humidity",
    "rel_humidity": "humidity", "dewpoint": "dew_point", "atmospheric_pressure": "pressure",
    "barometric_pressure": "pressure", "lux": "illuminance", "light_lux": "illuminance", "co2": "carbon_dioxide",
    "e_co2": "eco2", "hcho": "formaldehyde", "formaldehyd": "formaldehyde", "co": "carbon_monoxide",
    "tvoc": "volatile_organic_compounds", "voc": "volatile_organic_compounds", "pm2_5": "pm25", "pm02_5": "pm25",
    "pm1_0": "pm1", "pm10_0": "pm10", "pm2.5": "pm25", "pm_2_5": "pm25", "soil_moisture": "moisture", "uvi": "uv_index",
    "uv": "uv_index", "ac_frequency": "frequency", "linkquality": "link_quality", "lqi": "link_quality",
    "batt": "battery", "windspeed": "wind_speed", "winddirection": "wind_direction", "wind_dir": "wind_direction",
    "windgust": "wind_gust", "rainfall": "precipitation", "lat": "latitude", "lon": "longitude", "lng": "longitude",
    "alt": "altitude", "soil_conductivity": "conductivity", "powerfactor": "power_factor",
}  # fmt: skip

_MEASURES = frozenset(name for name, usual in QUANTITIES.items() if usual is not None)


def measures(quantity: str) -> bool:
    """Whether the quantity is one that has a unit: a truth in its place ({"temperature": true}) is no value."""
    return quantity in _MEASURES


_BINARY_CLASSES = {
    # Home Assistant's binary_sensor device classes that share a name with a sensor class, or have a plainer one here
    "battery": "battery_low", "door": "opening", "garage_door": "opening", "window": "opening",
    "moisture": "water_leak", "heat": "overtemperature", "power": "switch", "plug": "switch", "gas": "gas_alarm",
}  # fmt: skip

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAK = re.compile(r"[^\w]+|_+")


def snake(name: str) -> str:
    """`name` in snake case: cpuTemp → cpu_temp, "Approx. Altitude" → approx_altitude; letters of any script stay."""
    return _snake(name) if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME].lower()


@lru_cache(maxsize=4096)
def _snake(name: str) -> str:
    if name.startswith(("pm2.5", "PM2.5")):  # a dot that is part of the number, not a break
        name = "pm25" + name[5:]
    return _BREAK.sub("_", _HUMP.sub("_", name.strip())).strip("_").lower()


def quantity(name: str) -> str:
    """The canonical quantity that a key or topic level names; snake case of the name where none is known."""
    plain = snake(name)
    return ALIASES.get(plain, plain)


def from_device_class(device_class: str, binary: bool = False) -> str:
    """The quantity of a Home Assistant device class; `binary` for those of binary_sensor."""
    if binary:
        return _BINARY_CLASSES.get(device_class, device_class)
    return ALIASES.get(device_class, device_class)


_GLUED = re.compile(r"(.*[^\W_])\s*[\[(]?\s*(°[CF]|℃|℉|%|(?<=[\[( ])[^\s\[\]()]+)\s*[\])]?")


@lru_cache(maxsize=4096)
def named(name: str) -> tuple[str, str | None]:
    """What a key or topic level says, as (quantity, unit): "cpuTemp", "level%", "Pressure (hPa)", "co2_ppm"."""
    glued = _GLUED.fullmatch(name)
    if glued is not None:
        stated = known_unit(glued[2])
        if stated is not None:
            return quantity(glued[1]), stated
    return split_unit(snake(name))


_SUFFIXES: dict[str, tuple[str, frozenset[str] | None]] = {
    # suffix in a key: (unit, quantities that it may follow, None for any). One letter is a unit only behind a name
    # that it fits: temperature_c is °C, current_phase_c is a phase.
    "c": ("°C", frozenset({"temperature", "dew_point", "setpoint", "heat_index", "wind_chill", "feels_like"})),
    "f": ("°F", frozenset({"temperature", "dew_point", "setpoint", "heat_index", "wind_chill", "feels_like"})),
    "k": ("K", frozenset({"temperature"})),
    "v": ("V", frozenset({"voltage", "battery", "battery_voltage", "volt", "supercap", "vbat", "vcc"})),
    "a": ("A", frozenset({"current"})),
    "w": ("W", frozenset({"power", "load", "solar", "grid"})),
    "m": ("m", frozenset({"distance", "level", "altitude", "depth", "height"})),
    "s": ("s", frozenset({"uptime", "duration", "interval"})),
    "pa": ("Pa", None), "hpa": ("hPa", None), "kpa": ("kPa", None), "psi": ("psi", None), "mbar": ("hPa", None),
    "mmhg": ("mmHg", None), "inhg": ("inHg", None), "ppm": ("ppm", None), "ppb": ("ppb", None), "lux": ("lx", None),
    "lx": ("lx", None), "mv": ("mV", None), "ma": ("mA", None), "mw": ("mW", None), "kw": ("kW", None),
    "wh": ("Wh", None), "kwh": ("kWh", None), "mwh": ("MWh", None), "va": ("VA", None), "hz": ("Hz", None),
    "kmh": ("km/h", None), "km_h": ("km/h", None), "kph": ("km/h", None), "mph": ("mph", None), "mi_h": ("mph", None),
    "m_s": ("m/s", None), "mps": ("m/s", None), "mm": ("mm", None), "cm": ("cm", None), "mm_h": ("mm/h", None),
    "in_h": ("in/h", None), "percent": ("%", frozenset({"humidity", "moisture", "level", "soil_moisture"})),
    "pct": ("%", None), "db": ("dB", None), "dbm": ("dBm", None), "celsius": ("°C", None), "fahrenheit": ("°F", None),
    "ug_m3": ("µg/m³", None), "mg_m3": ("mg/m³", None),
}  # fmt: skip


@lru_cache(maxsize=4096)
def split_unit(plain: str) -> tuple[str, str | None]:
    """A snake-case key with a unit at its end, as (canonical quantity, unit); unit None where there is none.

    temperature_c → (temperature, °C), co2_ppm → (carbon_dioxide, ppm), current_phase_c → (current_phase_c, None).
    """
    for levels in (2, 1):
        parts = plain.rsplit("_", levels)
        if len(parts) <= levels or not parts[0]:
            continue
        base = ALIASES.get(parts[0], parts[0])
        found = _SUFFIXES.get("_".join(parts[1:]))
        if found is not None and (found[1] is None or base in found[1]):
            return base, found[0]
    return ALIASES.get(plain, plain), None
