"""Readings out of a document that no family explains: every number in it, named by its path.

Shared by the fallbacks for JSON, CBOR and MessagePack. The device is the topic, the channel the path to the object, the
quantity the key; a lone `value` is named by the topic's last level instead.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeGuard

from devices import numbers, quantities, units
from devices.reading import Reading, Value

_MAX_READINGS = 256
_MAX_ITEMS = 64
_DEEPEST = 8
_TIME_KEYS = frozenset({
    "time", "ts", "timestamp", "datetime", "date_time", "tst", "utc", "epoch", "unixtime", "unix_time", "created_at",
    "received_at", "measured_at", "time_stamp", "t_s", "last_seen", "lastseen", "last_updated",
})  # fmt: skip
_IDENTITY = frozenset({
    "id", "idx", "uid", "uuid", "mac", "serial", "sn", "seq", "ip", "from", "to", "version", "fw", "firmware", "pid",
    "device_id", "sensor_id", "ssid", "bssid", "nvalue",
})  # fmt: skip
_UNIT_KEYS = ("unit", "units", "unit_of_measurement", "uom", "Unit")
_TRUTHS = frozenset(name for name, usual in quantities.QUANTITIES.items() if usual is None) | {
    "state", "door", "window", "alarm", "leak", "moving", "power_state", "relay", "open", "closed",
}  # fmt: skip
_SPLIT_NAMES = ("temperature", "humidity", "pressure")
_LEAVES = frozenset((float, int, str, bool, type(None)))


def place(topic: str) -> tuple[str, str, str | None]:
    """(device, quantity, unit) by topic alone: the device is the topic without its last level, which is the quantity.

    `…/door/state` speaks of the door; a topic that ends in a slash has no last level, and is the device itself.
    """
    device, _, last = topic.rpartition("/")
    if last == "state" and "/" in device:
        device, _, last = device.rpartition("/")
    if not last:
        return device or topic, "value", None
    quantity, unit = quantities.named(last) if len(last) <= 64 else (last[:64].lower(), None)
    return device, quantity or "value", unit


def is_dead(quantity: str, value: Value, unit: str | None) -> bool:
    """Whether a value stands for a probe that does not answer (DallasTemperature: DEVICE_DISCONNECTED_C and _F)."""
    if value == -127:
        return quantity.endswith("temperature") and unit in (None, "°C")
    return value == -196.6 and quantity.endswith("temperature") and unit in (None, "°F")


def readings(topic: str, document: object, now: float) -> list[Reading]:
    """The document's readings, at most 256. Non-finite numbers, nulls, free text and identifiers are left out."""
    if not _is_map(document) and not isinstance(document, list):
        value = _value(document)
        if value is None:
            return []
        device, quantity, unit = place(topic)
        return _one(Reading(device, None, quantity, value[0], value[1] or unit, None))
    time = _time(document, now)
    if _is_map(document) and "value" in document and _lone(document):
        value = _value(document["value"])
        if value is None:
            return []
        device, quantity, unit = place(topic)
        return _one(Reading(device, None, quantity, value[0], value[1] or _stated(document) or unit, time))
    out: list[Reading] = []
    # A list of one record is the record.
    root = document[0] if isinstance(document, list) and len(document) == 1 else document
    _walk(out, topic, "", root, time if root is document else _time(root, now), 0)
    return out


def _one(reading: Reading) -> list[Reading]:
    if isinstance(reading.value, bool):
        return [] if quantities.measures(reading.quantity) else [reading._replace(unit=None)]
    return [] if is_dead(reading.quantity, reading.value, reading.unit) else [reading]


def _is_map(node: object) -> TypeGuard[Mapping[object, object]]:
    return type(node) is dict or isinstance(node, Mapping)  # an abstract class is dear to ask


def _time(document: object, now: float) -> float | None:
    if _is_map(document):
        for key, value in document.items():
            if isinstance(key, str) and len(key) <= 24 and _tells_time(key):
                found = numbers.timestamp(value, now)
                if found is not None:
                    return found
    return None


@lru_cache(maxsize=4096)
def _tells_time(key: str) -> bool:
    return quantities.snake(key) in _TIME_KEYS


@lru_cache(maxsize=4096)
def _meant(name: str) -> tuple[str, str | None] | None:
    """The quantity and unit of a key; None for one that measures nothing: identity, time, unit."""
    quantity, unit = quantities.named(name)
    if not quantity or quantity in _IDENTITY or quantity in _TIME_KEYS or name in _UNIT_KEYS:
        return None
    return quantity, unit


def _lone(document: Mapping[object, object]) -> bool:
    """Whether `value` is the only measurement beside times, units and texts."""
    for key, value in document.items():
        if key == "value" or value is None or isinstance(value, str):
            continue
        if not isinstance(key, str) or quantities.snake(key) not in _TIME_KEYS:
            return False
    return True


def _stated(document: Mapping[object, object]) -> str | None:
    for key in _UNIT_KEYS:
        if key in document:
            return units.unit(document[key])
    return None


def _value(value: object) -> tuple[Value, str | None] | None:
    """A value and the unit it may carry in its own text."""
    if isinstance(value, float):
        return (value, None) if math.isfinite(value) else None
    if isinstance(value, bool):
        return value, None
    if isinstance(value, int):
        # Up to 64 bits counters are real; beyond them no encoder downstream takes an integer.
        return (value, None) if -(2**63) <= value < 2**64 else None
    if isinstance(value, str) and len(value) <= 64:
        return numbers.measured(value)
    return None


def _walk(out: list[Reading], device: str, path: str, node: object, time: float | None, level: int) -> None:
    if level > _DEEPEST or len(out) >= _MAX_READINGS:
        return
    if isinstance(node, list):
        for index, item in enumerate(node[:_MAX_ITEMS]):
            if isinstance(item, Mapping | list):
                _walk(out, device, f"{path}.{index}" if path else str(index), item, time, level + 1)
        return
    if not _is_map(node):
        return
    shared = _stated(node)
    for key, value in node.items():
        if len(out) >= _MAX_READINGS:
            return
        name = key if isinstance(key, str) else str(key)
        if len(name) > 64:
            continue
        if type(value) not in _LEAVES:
            if _is_map(value):
                if not _pair(out, device, path, name, value, time):
                    _walk(out, device, f"{path}.{name}" if path else name, value, time, level + 1)
                continue
            if isinstance(value, list):
                _walk(out, device, f"{path}.{name}" if path else name, value, time, level + 1)
                continue
        meant = _meant(name)
        if meant is None:
            continue
        quantity, unit = meant
        found = _value(value)
        if found is None and isinstance(value, str) and quantity in _TRUTHS:
            on = numbers.truth(value)
            found = None if on is None else (on, None)
        if found is None or (isinstance(found[0], bool) and quantities.measures(quantity)):
            continue
        channel = path or None
        head, _, tail = quantity.rpartition("_")
        if head and tail in _SPLIT_NAMES and tail in node:
            # {"temperature": …, "roomTemperature": …}: the second is the same quantity of another part.
            quantity, channel = tail, f"{path}.{name}" if path else name
        unit = found[1] or (shared if name == "value" else None) or unit
        if unit is None:
            unit = units.unit(node.get(f"{name}_unit") or node.get(f"{name}Unit"))
        if not is_dead(quantity, found[0], unit):
            stated = None if isinstance(found[0], bool) else unit  # what is on or off has none
            out.append(Reading(device, channel, quantity, found[0], stated, time))


def _pair(
    out: list[Reading], device: str, path: str, name: str, node: Mapping[object, object], time: float | None
) -> bool:
    """{"temperature": {"value": 21.5, "unit": "C"}}: one reading, named by its key where that is a known quantity."""
    if "value" not in node or not any(key in node for key in _UNIT_KEYS):
        return False
    quantity, unit = quantities.named(name)
    if quantity not in quantities.QUANTITIES:
        return False
    value = _value(node["value"])
    if value is not None:
        out += _one(Reading(device, path or None, quantity, value[0], value[1] or _stated(node) or unit, time))
    return True
