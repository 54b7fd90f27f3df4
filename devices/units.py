"""Units in one spelling, and exact conversions between them. UCUM-like text; pure tables and look-ups."""

_LONGEST_NAME = 64

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
