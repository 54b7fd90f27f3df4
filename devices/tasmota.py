"""Tasmota: `tele/<topic>/SENSOR` and its relatives.

Sources: tasmota.github.io "MQTT" (topics, FullTopic), "JSON Status Responses", "Sensor Configuration"; units as
Tasmota's own discovery states them. Unit keys are document-wide; Time is local and has no zone unless configured.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from devices import numbers, quantities, units
from devices.bounded import MAX_KEY
from devices.reading import DeviceState, Reading
from devices.tasmota_keys import (
    DRIVERS,
    ENERGY,
    IDENTITY,
    KEYS,
    PRESSURE_UNIT,
    TRUE_FALSE,
    UNIT_KEYS,
    WIND,
    ZIGBEE,
    Keys,
)

_KIND = re.compile(r"SENSOR|STATE|LWT|RESULT|UPTIME|MARGINS|HASS_STATE|(?:INFO|POWER|STATUS|ENERGY)\d*")
_PREFIXES = ("tele", "stat", "cmnd")
_HEX4 = re.compile(r"[0-9A-F]{4}")
_SWITCH = re.compile(r"POWER\d*")
_INDEX = re.compile(r"[-_.]\d.*|[-.].*")  # what distinguishes several of one driver: DS18B20-2, VL53L0X_1
_NUMBERED = re.compile(r"([A-Za-z]+)(\d{1,2})")
_INPUT = re.compile(r"(?:Switch|Button)\d*")
_DEEPEST = 4


def _place(topic: str) -> tuple[str, str, str] | None:
    """(prefix, device, kind) of a Tasmota topic. FullTopic is free: %prefix%/%topic%, %topic%/%prefix%, site first."""
    return _places(topic) if len(topic) <= MAX_KEY else _places.__wrapped__(topic)


@lru_cache(maxsize=4096)
def _places(topic: str) -> tuple[str, str, str] | None:
    levels = topic.split("/")
    if len(levels) < 3 or not _KIND.fullmatch(levels[-1]):
        return None
    for index, level in enumerate(levels[:-1]):
        if level in _PREFIXES:
            device = levels[index + 1 : -1] or levels[:index]
            return level, "/".join(device), levels[-1]
    return None


class Tasmota:
    """Decodes SENSOR, STATE, STATUS8/10/11, ENERGY (2017), POWERn; LWT is availability. Keeps no state."""

    family = "tasmota"

    def recognises(self, topic: str, payload: bytes) -> bool:
        # Commands to any prefix, and Tasmota's own discovery, are the family's, and never readings.
        return _place(topic) is not None or topic.startswith(("cmnd/", "tasmota/discovery/"))

    def claims(self, topic: str) -> bool:
        return topic.endswith("/LWT") and _place(topic) is not None

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        place = _place(topic)
        online = numbers.availability(payload)
        return () if place is None or online is None else (DeviceState(place[1], online),)

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        place = _place(topic)
        if place is None or not payload:
            return []
        prefix, device, kind = place
        if prefix == "cmnd" or kind == "LWT":
            return []
        if kind.startswith("POWER"):
            on = numbers.truth(payload.decode("utf-8", "replace"))
            return [] if on is None else [Reading(device, kind, "switch", on, None, None)]
        if kind not in ("SENSOR", "STATE", "ENERGY", "HASS_STATE", "RESULT") and not kind.startswith("STATUS"):
            if not kind.startswith(("INFO", "UPTIME", "MARGINS")):
                numbers.load_json(payload)  # ENERGY1 and the like: no reading, but broken JSON is worth a count
            return []
        document = numbers.load_object(payload)
        return _Document(device, document, now).readings(kind)


class _Document:
    """One document being read: its device, time, document-wide units, and the readings found so far."""

    __slots__ = ("body", "device", "now", "out", "time", "units")

    def __init__(self, device: str, document: dict[str, object], now: float) -> None:
        body = document
        for wrapper in ("StatusSNS", "StatusSTS"):
            inner = document.get(wrapper)
            if isinstance(inner, dict):
                body = inner
        self.body = body
        self.device = device
        self.now = now
        self.out: list[Reading] = []
        self.units = UNIT_KEYS
        for key in UNIT_KEYS:
            if key in body:
                self.units = {name: units.unit(body.get(name)) or usual for name, usual in UNIT_KEYS.items()}
                break
        stated = body.get("Time")
        # 19 characters are a wall clock without a zone, by far the commonest case: no need to parse it.
        epoch = body.get("Epoch")
        self.time = (
            numbers.timestamp(epoch, now)
            if epoch is not None
            else None
            if type(stated) is not str or len(stated) == 19
            else numbers.timestamp(stated, now)
        )

    def readings(self, kind: str) -> list[Reading]:
        body = self.body
        if kind == "STATE" or kind == "HASS_STATE" or kind == "STATUS11":
            self.state()
        elif kind == "ENERGY":
            self.sensor("ENERGY", body, ENERGY, 1)
        elif kind == "SENSOR" or kind == "STATUS8" or kind == "STATUS10":
            self.sensors()
        elif kind == "RESULT":
            self.result()
        return self.out

    def sensors(self) -> None:
        for name, value in self.body.items():
            kind = type(value)
            if kind is dict:
                if name == "ZbReceived":
                    self.zigbee(value)  # type: ignore[arg-type]
                else:
                    self.sensor(name, value, ENERGY if name == "ENERGY" else KEYS, 1)  # type: ignore[arg-type]
            elif kind is str:
                if name not in UNIT_KEYS and name != "Time":
                    self.contact(name, value)
            elif name not in ("Epoch", "Time"):
                self.value(None, name, value, KEYS)

    def state(self) -> None:
        for name, value in self.body.items():
            self.contact(name, value)
        self.value(None, "UptimeSec", self.body.get("UptimeSec"), {"UptimeSec": ("uptime", "s")})
        self.value(None, "Vcc", self.body.get("Vcc"), {"Vcc": ("voltage", "V")})
        radio = self.body.get("Wifi")
        if isinstance(radio, dict):
            # In this one object RSSI is a percentage and Signal the level.
            self.value("Wifi", "RSSI", radio.get("RSSI"), {"RSSI": ("signal_quality", "%")})
            self.value("Wifi", "Signal", radio.get("Signal"), {"Signal": ("signal_strength", "dBm")})

    def result(self) -> None:
        """An answer to a command: only switches and, with older firmware, Zigbee reports are readings in it."""
        received = self.body.get("ZbReceived")
        if isinstance(received, dict):
            self.zigbee(received)
        for name, value in self.body.items():
            if _SWITCH.fullmatch(name):
                self.contact(name, value)

    def contact(self, name: str, value: object) -> None:
        quantity = "switch" if _SWITCH.fullmatch(name) else "input" if _INPUT.fullmatch(name) else None
        if quantity is not None:
            on = numbers.truth(value)
            if on is not None:
                self.out.append(Reading(self.device, name, quantity, on, None, self.time))

    def zigbee(self, nodes: dict[str, object]) -> None:
        for name, node in nodes.items():
            if not isinstance(node, dict):
                continue
            # SetOption89 puts the short address as one more level into the topic: it is not part of the device.
            owner, _, last = self.device.rpartition("/")
            if owner and _HEX4.fullmatch(last) and node.get("Device") == f"0x{last}":
                self.device = owner
            local = units.unit(node.get(PRESSURE_UNIT))
            if local is not None:
                self.units = {**self.units, PRESSURE_UNIT: local}
            self.sensor(name, node, ZIGBEE, 1)

    def sensor(self, channel: str, values: dict[str, object], keys: Keys, level: int) -> None:
        device, time, units, out = self.device, self.time, self.units, self.out
        for key, value in values.items():
            kind = type(value)
            if kind is float or kind is int:
                known = keys.get(key)
                if known is None or known[0] in _ODD or channel[:2] in _ODD_CHANNELS:
                    self.value(channel, key, value, keys)
                    continue
                quantity, unit = known
                if kind is float or numbers.is_number(value):
                    out.append(Reading(device, channel, quantity, value, units.get(unit, unit), time))  # type: ignore[arg-type]
            elif kind is dict:
                if level >= _DEEPEST:
                    continue
                if key in WIND:
                    self.wind(channel, key, value)  # type: ignore[arg-type]
                elif key in keys:
                    for part, item in value.items():  # type: ignore[attr-defined]
                        self.value(f"{channel}.{part}", key, item, keys)
                else:
                    self.sensor(f"{channel}.{key}", value, keys if keys is ZIGBEE else KEYS, level + 1)  # type: ignore[arg-type]
            elif kind is list:
                for index, item in enumerate(value[:64]):  # type: ignore[index]
                    self.value(f"{channel}.{index}", key, item, keys)
            elif kind is bool:
                self.value(channel, key, value, keys)
            elif kind is str and key == "STATE":
                on = numbers.truth(value)
                if on is not None:
                    out.append(Reading(device, channel, "presence", on, None, time))

    def wind(self, channel: str, key: str, values: dict[str, object]) -> None:
        quantity, unit, parts = WIND[key]
        for part, suffix in parts.items():
            value = values.get(part)
            if numbers.is_number(value):
                name, stated = quantity + suffix, self.units.get(unit, unit)
                self.out.append(Reading(self.device, channel, name, value, stated, self.time))  # type: ignore[arg-type]

    def value(self, channel: str | None, key: str, value: object, keys: Keys) -> None:
        """One value of any kind, with every exception that a key or driver may need."""
        if key in IDENTITY or not (isinstance(value, bool) or numbers.is_number(value)):
            return
        assert isinstance(value, int | float)
        driver = _INDEX.sub("", channel) if channel else ""
        known = DRIVERS.get((driver, key)) or keys.get(key)
        if known is None:
            if not key.isidentifier() and keys is ZIGBEE:
                return  # an attribute without a name: cluster and number
            numbered = _NUMBERED.fullmatch(key)
            known = keys.get(numbered[1]) if numbered else None
            if known is not None and numbered is not None:  # ANALOG: Temperature1, Temperature2
                channel = f"{channel}.{numbered[2]}" if channel else numbered[2]
        quantity, unit = known or (quantities.quantity(key), None)
        if quantity == "speed" and driver.lower().startswith(("wind", "tx2")):
            quantity = "wind_speed"
        if isinstance(value, bool) and quantities.measures(quantity):
            return
        if quantity in TRUE_FALSE and keys is ZIGBEE:
            if value not in (0, 1):
                return
            value = bool(value)
        flag = None
        if driver.startswith("DS18") and quantity == "temperature":
            if value <= -127:  # the driver's value for a probe that does not answer
                return
            flag = "power-on" if value == 85 else None  # the probe's register after reset; a real 85 °C exists too
        unit = self.units.get(unit or "", unit)
        self.out.append(Reading(self.device, channel, quantity, value, unit, self.time, flag))


_ODD = frozenset(("distance", "speed")) | frozenset(TRUE_FALSE)
_ODD_CHANNELS = frozenset(("DS",))  # DS18B20 and DS18S20: sentinels to look for
