"""Quantities and units in one spelling: canonical names, unit spellings, exact conversions.

Names follow Home Assistant's device classes where one exists (developers.home-assistant.io, "Sensor entity"); units
are UCUM-like text. Pure tables and look-ups; nothing here knows a device family.
"""

import re
from functools import lru_cache

_LONGEST_NAME = 64  # longer names are passed through the slow way, so that no cache can be filled with kilobytes

# ── units ────────────────────────────────────────────────────────────────────────────────────────────────────────────

UNITS: dict[str, tuple[str, ...]] = {
    "°C": ("℃", "C", "degC", "deg C", "Cel", "celsius", "degrees celsius", "º C", "ºC", "° C", "oC"),
    "°F": ("℉", "F", "degF", "deg F", "fahrenheit", "ºF", "° F"),
    "K": ("kelvin",),
    "%": ("percent", "pct", "%rH", "%RH", "% RH", "%r.H.", "rH%", "%EL", "%H"),
    "Pa": ("pascal",),
    "hPa": ("mbar", "mb", "millibar", "hpa"),
    "kPa": ("kpa",),
    "bar": (),
    "mmHg": ("mm Hg", "torr"),
    "inHg": ("in Hg",),
    "psi": ("PSI",),
    "V": ("volt", "volts"),
    "mV": ("millivolt",),
    "A": ("ampere", "amps", "amp"),
    "mA": (),
    "W": ("watt", "watts"),
    "kW": (),
    "MW": (),
    "VA": (),
    "kVA": (),
    "var": ("VAr", "VAR"),
    "kvar": ("kVAr", "kVAR"),
    "Wh": (),
    "kWh": ("kwh", "KWh"),
    "MWh": (),
    "Wmin": (),
    "Ah": (),
    "mAh": (),
    "VAh": (),
    "varh": ("VARh",),
    "J": (),
    "Hz": ("hertz",),
    "kHz": (),
    "MHz": (),
    "GHz": (),
    "lx": ("lux", "Lux", "LUX"),
    "ppm": ("PPM",),
    "ppb": ("PPB",),
    "µg/m³": ("µg/m3", "ug/m3", "ug/m³", "ug/m^3"),
    "mg/m³": ("mg/m3", "mg/m^3"),
    "g/m³": ("g/m3",),
    "µS/cm": ("uS/cm", "us/cm", "µs/cm"),
    "mS/cm": ("ms/cm",),
    "m": ("meter", "metre"),
    "cm": (),
    "mm": (),
    "km": (),
    "in": ("inch", "inches"),
    "ft": ("feet",),
    "mi": ("miles",),
    "m/s": ("mps", "m s-1"),
    "km/h": ("kmh", "kph", "kmph"),
    "mph": ("mi/h",),
    "kn": ("kt", "knots", "kts"),
    "mm/h": ("mm/hr",),
    "in/h": ("in/hr",),
    "°": ("deg", "degree", "degrees", "º"),
    "d": ("days", "day"),
    "h": ("hours", "hour", "hr"),
    "min": ("minutes", "minute"),
    "s": ("sec", "seconds", "second"),
    "ms": ("msec", "milliseconds"),
    "µs": ("us",),
    "dB": ("db",),
    "dBm": ("dbm", "DBm"),
    "dBA": ("dB(A)",),
    "Ω": ("ohm", "ohms", "Ohm"),
    "kΩ": ("kohm", "kOhm"),
    "m³": ("m3", "m^3"),
    "m³/h": ("m3/h", "m^3/h"),
    "L": ("l", "liter", "litre"),
    "L/min": ("l/min",),
    "L/h": ("l/h",),
    "mL": ("ml",),
    "gal": (),
    "kg": (),
    "g": (),
    "mg": (),
    "lb": ("lbs",),
    "rpm": ("RPM", "r/min"),
    "[g]": (),
    "m/s²": ("m/s2", "m/s^2"),
    "W/m²": ("W/m2",),
    "lqi": ("LQI",),
    "B": ("bytes", "byte"),
    "kB": ("KB",),
    "KiB": (),
    "MB": (),
    "MiB": (),
    "GB": (),
    "€": (),
    "pH": (),
    "ppt": (),
    "dBi": (),
    "mW": (),
    "µV": (),
    "µA": (),
    "mrad": (),
    "rad": (),
    "lm": (),
    "T": (),
    "µT": ("uT",),
    "µSv/h": ("uSv/h",),
    "cd": (),
    "N": (),
    "C·s": (),
}
_UNIT = {spelling: name for name, others in UNITS.items() for spelling in (name, *others)}
# Mu exists twice in Unicode (U+00B5 micro sign, U+03BC Greek letter), Ohm too (U+2126): one spelling inside.
_TWINS = str.maketrans({"μ": "µ", "Ω": "Ω"})

FACTORS: dict[str, tuple[str, float]] = {
    # unit: (base unit, value of one such unit in the base unit), all exact by definition but mmHg and psi (SI brochure)
    "Pa": ("Pa", 1.0), "hPa": ("Pa", 100.0), "kPa": ("Pa", 1000.0), "bar": ("Pa", 100_000.0),
    "mmHg": ("Pa", 133.322387415), "inHg": ("Pa", 3386.388640341), "psi": ("Pa", 6894.75729),
    "V": ("V", 1.0), "mV": ("V", 1e-3), "A": ("A", 1.0), "mA": ("A", 1e-3),
    "W": ("W", 1.0), "mW": ("W", 1e-3), "kW": ("W", 1e3), "MW": ("W", 1e6),
    "VA": ("VA", 1.0), "kVA": ("VA", 1e3), "var": ("var", 1.0), "kvar": ("var", 1e3),
    "Wh": ("Wh", 1.0), "kWh": ("Wh", 1e3), "MWh": ("Wh", 1e6), "Wmin": ("Wh", 1 / 60), "J": ("Wh", 1 / 3600),
    "Hz": ("Hz", 1.0), "kHz": ("Hz", 1e3), "MHz": ("Hz", 1e6), "GHz": ("Hz", 1e9),
    "ppm": ("ppm", 1.0), "ppb": ("ppm", 1e-3),
    "µg/m³": ("µg/m³", 1.0), "mg/m³": ("µg/m³", 1e3), "g/m³": ("µg/m³", 1e6),
    "µS/cm": ("µS/cm", 1.0), "mS/cm": ("µS/cm", 1e3),
    "m": ("m", 1.0), "cm": ("m", 0.01), "mm": ("m", 1e-3), "km": ("m", 1e3),
    "in": ("m", 0.0254), "ft": ("m", 0.3048), "mi": ("m", 1609.344),
    "m/s": ("m/s", 1.0), "km/h": ("m/s", 1 / 3.6), "mph": ("m/s", 0.44704), "kn": ("m/s", 1852 / 3600),
    "mm/h": ("mm/h", 1.0), "in/h": ("mm/h", 25.4),
    "s": ("s", 1.0), "ms": ("s", 1e-3), "µs": ("s", 1e-6), "min": ("s", 60.0), "h": ("s", 3600.0), "d": ("s", 86400.0),
    "Ω": ("Ω", 1.0), "kΩ": ("Ω", 1e3), "L": ("L", 1.0), "mL": ("L", 1e-3), "m³": ("L", 1e3), "gal": ("L", 3.785411784),
    "L/h": ("L/h", 1.0), "L/min": ("L/h", 60.0), "m³/h": ("L/h", 1e3),
    "kg": ("kg", 1.0), "g": ("kg", 1e-3), "mg": ("kg", 1e-6), "lb": ("kg", 0.45359237),
    "m/s²": ("m/s²", 1.0), "[g]": ("m/s²", 9.80665),
}  # fmt: skip


def unit(text: object) -> str | None:
    """The canonical spelling of a unit; an unknown one is kept as stated, blank text and non-text are None."""
    if not isinstance(text, str):
        return None
    known = _UNIT.get(text)
    if known is not None:
        return known
    text = text.strip().translate(_TWINS)
    if not text or len(text) > _LONGEST_NAME:
        return None
    # Short units differ by case alone (mW and MW, s and S): only longer ones are looked up in lower case.
    return _UNIT.get(text) or (_UNIT.get(text.lower(), text) if len(text) > 2 else text)


def known_unit(text: str) -> str | None:
    """The canonical spelling if the text is a known unit, else None: what may follow a number in plain text."""
    text = text.strip().translate(_TWINS)
    return _UNIT.get(text)


def convert(value: float, source: str, target: str) -> float:
    """`value` in `source`, expressed in `target`. Raises ValueError when the two measure different things."""
    if source == target:
        return value
    if source in _KELVIN and target in _KELVIN:
        scale, zero = _KELVIN[source]
        kelvin = value * scale + zero
        scale, zero = _KELVIN[target]
        return (kelvin - zero) / scale
    a, b = FACTORS.get(source), FACTORS.get(target)
    if a is None or b is None or a[0] != b[0]:
        raise ValueError(f"cannot express {source} in {target}")
    return value * a[1] / b[1]


_KELVIN = {"K": (1.0, 0.0), "°C": (1.0, 273.15), "°F": (1 / 1.8, 273.15 - 32 / 1.8)}

# ── quantities ───────────────────────────────────────────────────────────────────────────────────────────────────────

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
