"""OpenMQTTGateway and Theengs Gateway: `<base>/<gateway>/BTtoMQTT/<MAC>` with what Theengs decoded from BLE.

Source: the property tables of the Theengs decoder (decoder.theengs.io); 433toMQTT, IRtoMQTT and the like are remote
control codes, SYStoMQTT is the gateway itself. Addresses may be random, so nothing is remembered by address.
"""

import re
from collections.abc import Sequence

from devices.numbers import availability, is_number, load_object, truth
from devices.reading import DecodeError, DeviceState, Reading
from devices.units import known_unit

_BLE = "BTtoMQTT"
_UNDECODED = "undecoded"
_BRIDGES = re.compile(r"(?:BT|SYS|433|IR|SRFB|Pilight|RF|RF2|LORA|WebUI|GFSUNINVERTER|Zgb|RN8209)toMQTT|home_presence")
_TEMPERATURE = re.compile(r"temp([cf])([1-9]?)(?:_(dp|hi|max|min))?")
_TEMPERATURES = {"dp": "dew_point", "hi": "heat_index", "max": "temperature_max", "min": "temperature_min"}

# property: (channel, quantity, unit)
_NUMBERS: dict[str, tuple[str | None, str, str | None]] = {
    "hum": (None, "humidity", "%"),
    "batt": (None, "battery", "%"),
    "volt": (None, "voltage", "V"),
    "dp": (None, "dew_point", "°C"),
    "lux": (None, "illuminance", "lx"),
    "darkness": (None, "illuminance", "lx"),
    "moi": (None, "moisture", "%"),
    "fer": (None, "conductivity", "µS/cm"),
    "pres": (None, "pressure", "hPa"),
    "pres_abs": (None, "absolute_pressure", "hPa"),
    "co2": (None, "carbon_dioxide", "ppm"),
    "pm1": (None, "pm1", "µg/m³"),
    "pm25": (None, "pm25", "µg/m³"),
    "pm10": (None, "pm10", "µg/m³"),
    "for": (None, "formaldehyde", "mg/m³"),
    "lvl_cm": (None, "distance", "cm"),
    "distance": (None, "distance", "m"),
    "level": (None, "level", "%"),
    "position": (None, "position", "%"),
    "power": (None, "power", "W"),
    "energy": (None, "energy", "kWh"),
    "current": (None, "current", "A"),
    "voltage": (None, "voltage", "V"),
    "litres": (None, "water", "L"),
    "impedance": (None, "impedance", "Ω"),
    "gravity": (None, "specific_gravity", None),
    "steps": (None, "steps", None),
    "bpm": (None, "heart_rate", "bpm"),
    "act_bpm": (None, "activity_heart_rate", "bpm"),
    # The decoder's table says m/s², its numbers are a tenth of that (-1 g comes as -0.980665): the unit stays open.
    "accx": ("x", "acceleration", None),
    "accy": ("y", "acceleration", None),
    "accz": ("z", "acceleration", None),
    "rssi": (None, "signal_strength", "dBm"),
}
_TRUTHS = {
    "open": "opening",
    "motion": "motion",
    "moving": "moving",
    "pir": "motion",
    "presence": "presence",
    "lowbatt": "battery_low",
    "water": "water_leak",
    "leak": "water_leak",
    "tamper": "tamper",
    "plugged-in": "plug",
}


class Theengs:
    """Decoder of OpenMQTTGateway's topics. No state."""

    family = "theengs"

    def recognises(self, topic: str, payload: bytes) -> bool:
        """One of the gateway's module levels; its LWT only by the gateway's usual names, as others have one too."""
        levels = topic.split("/")
        if any(_BRIDGES.fullmatch(level) for level in levels[1:]):
            return True
        return _is_gateway_lwt(levels)

    def claims(self, topic: str) -> bool:
        return topic.endswith("/LWT") and _is_gateway_lwt(topic.split("/"))

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """The gateway's availability. Raises DecodeError for an unknown word."""
        if not payload:
            return []
        online = availability(payload)
        if online is None:
            raise DecodeError("a gateway's LWT is online or offline")
        return [DeviceState(topic.split("/")[-2], online)]

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """One device's readings. Raises DecodeError for a body that is no JSON object."""
        levels = topic.split("/")
        if _BLE not in levels or _UNDECODED in levels or not payload:
            return []
        body = load_object(payload)
        address = body.get("id")
        device = address if isinstance(address, str) and 0 < len(address) <= 64 else levels[-1]
        if device == _BLE:
            return []
        readings: dict[tuple[str | None, str], Reading] = {}

        def add(channel: str | None, what: str, value: object, unit: str | None) -> None:
            if is_number(value):
                key = (channel, what)
                # Some models say a thing in two units; the first stated, which is the metric one, counts.
                readings.setdefault(key, Reading(device, channel, what, value, unit, None))  # type: ignore[arg-type]

        for key, value in body.items():
            if key in _NUMBERS:
                channel, what, unit = _NUMBERS[key]
                add(channel, what, value, _model_unit(key, body) or unit)
            elif key in _TRUTHS:
                flag = truth(value)
                if flag is not None:
                    what = _TRUTHS[key]
                    readings.setdefault((None, what), Reading(device, None, what, flag, None, None))
            elif found := _TEMPERATURE.fullmatch(key):
                scale, number, kind = found.groups()
                if scale == "f" and "tempc" + key[5:] in body:
                    continue
                what = _TEMPERATURES.get(kind or "", "temperature")
                # A number before a kind tells kinds apart (tempc2_dp), before nothing it counts the probes.
                add(number if number and not kind else None, what, value, "°C" if scale == "c" else "°F")
            elif key in ("avg", "sum"):
                _metered(key, value, body, add)
            elif key == "weight":
                add(None, "weight", value, _stated(body.get("unit")))
        return list(readings.values())


def _is_gateway_lwt(levels: list[str]) -> bool:
    return len(levels) >= 2 and levels[-1] == "LWT" and levels[-2].startswith(("OpenMQTTGateway", "OMG", "Theengs"))


def _stated(unit: object) -> str | None:
    return known_unit(unit) if isinstance(unit, str) else None


def _model_unit(key: str, body: dict[str, object]) -> str | None:
    """Tyre sensors give bar where all others give hPa."""
    return "bar" if key == "pres" and "TPMS" in str(body.get("model_id", "")) else None


def _metered(key: str, value: object, body: dict[str, object], add) -> None:  # type: ignore[no-untyped-def]
    """An iNode meter's average and sum: what they measure stands in the unit next to them."""
    unit = _stated(body.get(f"{key}u"))
    if key == "avg":
        add(None, {"kW": "power", "W": "power"}.get(unit or "", "average"), value, unit)
    else:
        add(None, {"kWh": "energy", "Wh": "energy", "m³": "volume"}.get(unit or "", "sum"), value, unit)
