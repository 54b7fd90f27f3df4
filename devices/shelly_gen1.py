"""Shelly, first generation: `shellies/<id>/…`, plain text, one value a topic.

Source: shelly-api-docs.shelly.cloud/gen1 "MQTT support". Relay and emeter "energy" are watt-minutes, emeter "total" is
Wh; 999 and -1 stand for a sensor that does not answer.
"""

import re
from collections.abc import Sequence

from devices import numbers
from devices.reading import DecodeError, DeviceState, Reading

_PARTS: dict[str, dict[str, tuple[str, str | None]]] = {
    # component: what lies below <component>/<n>
    "relay": {"power": ("power", "W"), "energy": ("energy", "Wmin"), "overpower_value": ("overpower_value", "W")},
    "emeter": {
        "power": ("power", "W"), "voltage": ("voltage", "V"), "current": ("current", "A"), "pf": ("power_factor", None),
        "reactive_power": ("reactive_power", "var"), "energy": ("energy_period", "Wmin"),
        "returned_energy": ("energy_returned_period", "Wmin"), "total": ("energy", "Wh"),
        "total_returned": ("energy_returned", "Wh"),
    },
}  # fmt: skip
for _same in ("roller", "light", "white", "color"):
    _PARTS[_same] = {**_PARTS["relay"], "pos": ("position", "%")}
_NUMBERED: dict[str, tuple[str, str | None]] = {
    "ext_temperature": ("temperature", "°C"), "ext_temperature_f": ("temperature", "°F"),
    "ext_humidity": ("humidity", "%"), "adc": ("voltage", "V"),
}  # fmt: skip
_OWN: dict[str, tuple[str, str | None]] = {
    "temperature": ("temperature", "°C"), "temperature_f": ("temperature", "°F"), "voltage": ("voltage", "V"),
    "power": ("power", "W"),
}  # fmt: skip
_SENSOR: dict[str, tuple[str, str | None]] = {
    # the unit of sensor/temperature follows a setting of the device that is not on the wire: its default is °C
    "temperature": ("temperature", "°C"), "humidity": ("humidity", "%"), "battery": ("battery", "%"),
    "lux": ("illuminance", "lx"), "tilt": ("tilt", "°"), "concentration": ("concentration", "ppm"),
}  # fmt: skip
_TRUTHS = {
    "flood": "water_leak", "vibration": "vibration", "motion": "motion", "smoke": "smoke", "state": "opening",
    "charger": "charging", "ext_power": "external_power",
}  # fmt: skip
_STATUS = {"lux": ("illuminance", "lx"), "bat": ("battery", "%")}
_ABSENT = {"temperature": 999, "humidity": 999, "battery": -1, "illuminance": -1, "concentration": -1, "tilt": -1}
_COMPONENT = re.compile(r"relay|roller|light|white|color|emeter|input|longpush|input_event|ext_\w+|adc|sensor|status")


class ShellyGen1:
    """Decodes the plain topics below `shellies/`; keeps no state."""

    family = "shelly_gen1"

    def recognises(self, topic: str, payload: bytes) -> bool:
        return topic.startswith("shellies/")

    def claims(self, topic: str) -> bool:
        return topic.startswith("shellies/") and topic.endswith("/online") and topic.count("/") == 2

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        online = {b"true": True, b"false": False}.get(payload)
        return () if online is None else (DeviceState(topic.split("/")[1], online),)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        levels = topic.split("/")
        if len(levels) < 3 or not payload or levels[-1] in ("command", "set", "announce", "info", "online"):
            return []
        device, component = levels[1], levels[2]
        if levels[-1] == "status" and len(levels) <= 5:
            return _status(device, "/".join(levels[2:-1]) or None, numbers.load_object(payload), now)
        if payload[:1] in b"{[":
            numbers.load_json(payload)  # input events, act_reasons, settings: valid or not, no readings
            return []
        try:
            text = payload.decode() if len(payload) <= numbers.MAX_TEXT else None
        except UnicodeDecodeError:
            text = None
        if text is None:
            raise DecodeError("a plain value of at most 256 bytes was expected")
        rest = levels[3:]
        if component == "sensor" and len(rest) == 1:
            if rest[0] in _SENSOR:
                return _number(device, None, _SENSOR[rest[0]], text)
            return _truth(device, None, _TRUTHS.get(rest[0]), text)
        if not rest:
            if component == "overtemperature":
                return _truth(device, None, component, text)
            return _number(device, None, _OWN[component], text) if component in _OWN else []
        channel = f"{component}/{rest[0]}"
        if len(rest) == 1:
            if component in _NUMBERED:
                return _number(device, channel, _NUMBERED[component], text)
            if component in ("input", "ext_switch"):
                return _truth(device, channel, "input", text)
            if component in _PARTS and text == "overpower":
                return [Reading(device, channel, "overpower", True, None, None)]
            return _truth(device, channel, "switch", text) if component in ("relay", "light", "white", "color") else []
        known = _PARTS.get(component, {}).get(rest[1])
        return [] if known is None else _number(device, channel, known, text)


def _number(device: str, channel: str | None, known: tuple[str, str | None], text: str) -> list[Reading]:
    value = numbers.number(text)
    if value is None:
        if text.strip().lower() in numbers.NO_VALUE:
            return []
        raise DecodeError(f"a number was expected, not {text[:40]!r}")
    quantity, unit = known
    if value == _ABSENT.get(quantity):
        return []
    return [Reading(device, channel, quantity, value, unit, None)]


def _truth(device: str, channel: str | None, quantity: str | None, text: str) -> list[Reading]:
    on = None if quantity is None else numbers.truth(text)
    return [] if on is None or quantity is None else [Reading(device, channel, quantity, on, None, None)]


def _status(device: str, channel: str | None, document: dict[str, object], now: float) -> list[Reading]:
    """The JSON status of a motion sensor, or of a light; `timestamp` is that of the last motion."""
    time = numbers.timestamp(document.get("timestamp"), now)
    out = []
    for key, quantity in (("motion", "motion"), ("vibration", "vibration"), ("ison", "switch")):
        value = document.get(key)
        if isinstance(value, bool):
            out.append(Reading(device, channel, quantity, value, None, time))
    for key, (quantity, unit) in _STATUS.items():
        value = document.get(key)
        if numbers.is_number(value) and value != -1:
            out.append(Reading(device, channel, quantity, value, unit, time))  # type: ignore[arg-type]
    measured = document.get("tmp")
    if isinstance(measured, dict) and measured.get("is_valid", True) and numbers.is_number(measured.get("value")):
        unit = "°F" if measured.get("units") == "F" else "°C"
        if measured["value"] != 999:
            out.append(Reading(device, channel, "temperature", measured["value"], unit, time))
    return out
