"""Shelly, second generation and later: JSON of components, as notifications or one topic a component.

Source: shelly-api-docs.shelly.cloud/gen2 "MQTT", "Notifications", and the status of each component. The topic prefix is
free, and is the device. A notification holds what changed, and its own time.
"""

import re
from collections.abc import Sequence

from devices import numbers
from devices.reading import DeviceState, Reading

_PLAIN: dict[str, tuple[str, str | None]] = {
    "apower": ("power", "W"), "act_power": ("power", "W"), "aprt_power": ("apparent_power", "VA"),
    "voltage": ("voltage", "V"), "current": ("current", "A"), "freq": ("frequency", "Hz"), "pf": ("power_factor", None),
    "rh": ("humidity", "%"), "tC": ("temperature", "°C"), "lux": ("illuminance", "lx"),
    "rssi": ("signal_strength", "dBm"),
    "uptime": ("uptime", "s"), "percent": ("percent", "%"), "current_pos": ("position", "%"),
    "battery": ("battery", "%"),
    "current_C": ("temperature", "°C"), "current_humidity": ("humidity", "%"), "total_act_energy": ("energy", "Wh"),
    "total_act_ret_energy": ("energy_returned", "Wh"), "xvoltage": ("xvoltage", None), "value": ("value", None),
    "reactive_power": ("reactive_power", "var"),
}  # fmt: skip
_COUNTERS = {"aenergy": "energy", "ret_aenergy": "energy_returned"}
_PHASE = re.compile(r"([abcn]|total)_(\w+)")
_TOTALS = {"act": ("energy", "Wh"), "act_ret": ("energy_returned", "Wh")}
_ALARMS = {"flood": "water_leak", "smoke": "smoke"}
_STATUS = re.compile(r"(.+)/status/([a-z][a-z0-9_]*:\d+|sys|wifi|cloud|mqtt|ble|ws|eth|ht_ui|plugs_ui|matter|knx)")
_COMMAND = re.compile(r".+/command/[a-z][a-z0-9_]*:\d+")


class ShellyGen2:
    """Decodes NotifyStatus, NotifyFullStatus and component status topics; keeps no state."""

    family = "shelly_gen2"

    def recognises(self, topic: str, payload: bytes) -> bool:
        if topic.endswith("/events/rpc"):
            return True
        if topic.endswith("/rpc"):
            return b'"src"' in payload[:512]
        if payload[:1] == b"{" and "/status/" in topic:
            return _STATUS.fullmatch(topic) is not None
        return "/command/" in topic and _COMMAND.fullmatch(topic) is not None

    def claims(self, topic: str) -> bool:
        # The prefix is free, so any `<prefix>/online` may be a Shelly's will; only true and false count below.
        return topic.endswith("/online") and not topic.startswith("shellies/") and "/$" not in topic

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        online = {b"true": True, b"false": False}.get(payload)
        return () if online is None else (DeviceState(topic.removesuffix("/online"), online),)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        out: list[Reading] = []
        if not payload:
            return out
        if topic.endswith("/events/rpc"):
            document = numbers.load_object(payload)
            params = document.get("params")
            if document.get("method") in ("NotifyStatus", "NotifyFullStatus") and isinstance(params, dict):
                device = topic[:-11].removeprefix("shellies/")
                time = numbers.timestamp(params.get("ts"), now)
                for channel, component in params.items():
                    if type(component) is dict:
                        _component(out, device, channel, component, time)
            return out
        found = _STATUS.fullmatch(topic)
        if found is not None:
            component = numbers.load_object(payload)
            time = numbers.timestamp(component.get("last_updated_ts"), now)
            _component(out, found[1].removeprefix("shellies/"), found[2], component, time)
        elif topic.endswith("/rpc"):
            numbers.load_json(payload)  # answers to requests: configuration as often as status
        return out


def _component(out: list[Reading], device: str, channel: str, component: dict[str, object], time: float | None) -> None:
    kind = channel.partition(":")[0]
    phases = kind in ("em", "emdata")
    for key, value in component.items():
        known = _PLAIN.get(key)
        if known is not None and type(value) is not dict:
            if numbers.is_number(value):
                out.append(Reading(device, channel, known[0], value, known[1], time))  # type: ignore[arg-type]
            elif key == "value" and isinstance(value, bool):
                out.append(Reading(device, channel, "value", value, None, time))
        elif value is None:
            continue
        elif phases:
            found = _PHASE.fullmatch(key)
            known = None if found is None else _PLAIN.get(found[2]) or _TOTALS.get(found[2])
            if found is not None and known is not None and numbers.is_number(value):
                out.append(Reading(device, f"{channel}.{found[1]}", known[0], value, known[1], time))  # type: ignore[arg-type]
        elif type(value) is dict:
            _nested(out, device, channel, key, value, time)
        elif isinstance(value, bool):
            quantity = "switch" if key == "output" else "input" if key == "state" and kind == "input" else None
            if key == "alarm":
                quantity = _ALARMS.get(kind)
            elif key == "motion":
                quantity = "motion"
            if quantity is not None:
                out.append(Reading(device, channel, quantity, value, None, time))
        elif key == "brightness" and numbers.is_number(value):
            out.append(Reading(device, channel, "brightness", value, "%", time))  # type: ignore[arg-type]


def _nested(
    out: list[Reading], device: str, channel: str, key: str, value: dict[str, object], time: float | None
) -> None:
    found: list[tuple[str, object, str]] = []
    if key in _COUNTERS:
        found.append((_COUNTERS[key], value.get("total"), "Wh"))
    elif key == "temperature":
        found.append(("temperature", value.get("tC"), "°C"))
    elif key == "battery":
        found += [("battery", value.get("percent"), "%"), ("voltage", value.get("V"), "V")]
    for quantity, number, unit in found:
        if numbers.is_number(number):
            out.append(Reading(device, channel, quantity, number, unit, time))  # type: ignore[arg-type]
