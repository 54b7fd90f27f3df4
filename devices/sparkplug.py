"""Sparkplug B (Eclipse Sparkplug 3.0): births teach names, types and units, data may carry nothing but aliases.

A passive listener: it never writes to the broker, so it cannot ask for a rebirth; what came before its birth was heard
stays undecoded. A device is "group/node" or "group/node/device", a quantity is the metric's own name.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from devices.numbers import MAX_STATE, epoch, is_number, load_object
from devices.quantities import unit
from devices.reading import DecodeError, DeviceState, Reading, Value

MAX_NODES = 1024
MAX_METRICS = 50_000  # of all nodes together; the node whose birth is longest ago goes first
MAX_MEMBERS = 20_000  # metrics of one message
MAX_NAME = 512  # characters of a metric's name
_MAX_TEMPLATE = 4  # levels of templates within templates

_DATA = {"NBIRTH": 4, "NDATA": 4, "NDEATH": 4, "NCMD": 4, "DBIRTH": 5, "DDATA": 5, "DDEATH": 5, "DCMD": 5}
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}  # datatype: bits
_UNSIGNED = {5: 8, 6: 16, 7: 32, 8: 64}
_FLOATS = (9, 10)
_BOOLEAN = 11
_NUMERIC = frozenset((*_SIGNED, *_UNSIGNED, *_FLOATS, _BOOLEAN))
_UNITS = frozenset(("engunit", "engunits", "engineering unit", "engineering units", "unit", "units"))
_BAD = 0  # OPC quality code of the Quality property: 0 bad, 192 good
_STALE = 500
_OLD = "spAv1.0/"  # Sparkplug A: other payload, long superseded; known so that nothing else guesses at it
_CONTROL = ("bdSeq", "Node Control/", "Device Control/")


class _Metric(NamedTuple):
    """What a birth says of one metric."""

    name: str
    datatype: int | None
    unit: str | None


class _Node:
    """An edge node's births. Aliases are kept by device, for those that number each device's metrics anew."""

    __slots__ = ("aliases", "birth_number", "devices", "names", "sequence")

    def __init__(self) -> None:
        self.aliases: dict[tuple[str | None, int], _Metric] = {}
        self.names: dict[tuple[str | None, str], _Metric] = {}
        self.devices: set[str] = set()
        self.birth_number: int | None = None
        self.sequence: int | None = None


class _Topic(NamedTuple):
    kind: str
    node: str
    device: str | None

    @property
    def path(self) -> str:
        return self.node if self.device is None else f"{self.node}/{self.device}"


class Sparkplug:
    """Decoder of the spBv1.0 namespace. `gaps` counts the messages that the nodes' sequence numbers say were missed."""

    family = "sparkplug"

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._metrics = 0
        self.gaps = 0

    def recognises(self, topic: str, payload: bytes) -> bool:
        return topic.startswith(("spBv1.0/", _OLD))

    def claims(self, topic: str) -> bool:
        return topic.startswith("spBv1.0/")

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """Learn births, forget at deaths, follow sequence numbers. Raises DecodeError for a malformed message."""
        host = _host(topic)
        if host is not None:
            return [DeviceState(host, _host_online(payload))] if payload else []
        place = _place(topic)
        kind = place.kind
        if kind in ("NDATA", "DDATA"):
            self._follow(place.node, payload)
            return []
        if kind in ("NCMD", "DCMD") or not payload:
            return []
        message = _parse(payload)
        try:
            if kind == "NBIRTH":
                return self._node_birth(place, message)
            if kind == "DBIRTH":
                node = self._nodes.get(place.node)
                if node is None:
                    node = self._admit(place.node)
                self._learn(node, place.device, message)
                self._count(node, message)
                node.devices.add(place.path)
                return [DeviceState(place.path, True)]
            if kind == "DDEATH":
                return self._device_death(place, message)
            return self._node_death(place, message)
        except UnicodeDecodeError as error:
            raise DecodeError(f"a name is not UTF-8: {error}") from None

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """Readings of births and data. Raises DecodeError for what is no Sparkplug payload or topic."""
        host = _host(topic)
        if host is not None:
            if payload:
                _host_online(payload)
            return []
        if topic.startswith(_OLD):
            return []
        place = _place(topic)
        if not place.kind.endswith(("BIRTH", "DATA")) or not payload:
            return []
        message = _parse(payload)
        node = self._nodes.get(place.node)
        sent = epoch(message.timestamp, now)
        readings: list[Reading] = []
        seen: set[tuple[str, float | None]] = set()
        try:
            for metric, known in _members(message.metrics, place.device, node):
                value = _value(metric, known.datatype)
                if value is None or _is_bad(metric):
                    continue
                time = epoch(metric.timestamp, now) or sent
                if (known.name, time) not in seen:
                    seen.add((known.name, time))
                    readings.append(Reading(place.path, None, known.name, value, known.unit, time))
        except UnicodeDecodeError as error:
            raise DecodeError(f"a name is not UTF-8: {error}") from None
        return readings

    # ── births and deaths ────────────────────────────────────────────────────────────────────────────────────────────

    def _node_birth(self, place: _Topic, message: Any) -> list[DeviceState]:
        before = self._nodes.get(place.node)
        # Devices must be born again after their node (Sparkplug 3.0, section 6.4.9): until then they are not there.
        lost = [DeviceState(path, False) for path in sorted(before.devices)] if before else []
        node = self._admit(place.node)
        node.birth_number = _birth_number(message)
        node.sequence = message.seq % 256
        self._learn(node, None, message)
        return [*lost, DeviceState(place.path, True)]

    def _device_death(self, place: _Topic, message: Any) -> list[DeviceState]:
        node = self._nodes.get(place.node)
        if node is not None:
            self._count(node, message)
            self._forget(node, place.device)
            node.devices.discard(place.path)
        return [DeviceState(place.path, False)]

    def _node_death(self, place: _Topic, message: Any) -> list[DeviceState]:
        node = self._nodes.get(place.node)
        if node is None:
            return [DeviceState(place.path, False)]
        number = _birth_number(message)
        # The will of a connection that the node has meanwhile replaced says nothing about the present one.
        if None not in (number, node.birth_number) and number != node.birth_number:
            return []
        self._drop(place.node)
        return [DeviceState(path, False) for path in (place.path, *sorted(node.devices))]

    def _admit(self, name: str) -> _Node:
        self._drop(name)
        while len(self._nodes) >= MAX_NODES:
            self._drop(next(iter(self._nodes)))
        node = self._nodes[name] = _Node()
        return node

    def _drop(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is not None:
            self._metrics -= len(node.names)

    def _forget(self, node: _Node, device: str | None) -> None:
        before = len(node.names)
        node.names = {key: metric for key, metric in node.names.items() if key[0] != device}
        node.aliases = {key: metric for key, metric in node.aliases.items() if key[0] != device}
        self._metrics -= before - len(node.names)

    def _learn(self, node: _Node, device: str | None, message: Any) -> None:
        self._forget(node, device)
        for metric, known in _members(message.metrics, device, None):
            if (device, known.name) not in node.names:
                if self._metrics >= MAX_METRICS:
                    oldest = next(iter(self._nodes))
                    if self._nodes[oldest] is node:
                        raise DecodeError(f"a birth beyond the {MAX_METRICS} metrics that are kept")
                    self._drop(oldest)
                self._metrics += 1
            node.names[device, known.name] = known
            if metric.HasField("alias"):
                node.aliases[device, metric.alias] = known

    # ── sequence numbers ─────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, name: str, payload: bytes) -> None:
        node = self._nodes.get(name)
        if node is not None and node.sequence is not None:
            number = sequence_number(payload)
            if number is not None:
                self.gaps += (number - node.sequence - 1) % 256
                node.sequence = number % 256

    def _count(self, node: _Node, message: Any) -> None:
        if node.sequence is not None and message.HasField("seq"):
            self.gaps += (message.seq - node.sequence - 1) % 256
            node.sequence = message.seq % 256


# ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _host(topic: str) -> str | None:
    return topic[14:] if topic.startswith("spBv1.0/STATE/") else None


def _host_online(payload: bytes) -> bool:
    online = load_object(payload).get("online")
    if not isinstance(online, bool):
        raise DecodeError('a host application\'s state needs "online": true or false')
    return online


def _place(topic: str) -> _Topic:
    levels = topic.split("/")
    kind = levels[2] if len(levels) > 2 else ""
    if _DATA.get(kind) != len(levels) or not all(levels):
        raise DecodeError("not a topic of Sparkplug B: spBv1.0/<group>/<type>/<node>[/<device>]")
    return _Topic(kind, f"{levels[1]}/{levels[3]}", levels[4] if len(levels) == 5 else None)


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parse(payload: bytes) -> Any:
    if len(payload) > MAX_STATE:
        raise DecodeError(f"{len(payload)} bytes are more than the {MAX_STATE} that a payload may have")
    try:
        # Here, not at the top: an edge box without Sparkplug shall not pay for protobuf's memory.
        from google.protobuf.message import DecodeError as Malformed

        from devices.sparkplug_schema import payload_class
    except ImportError:
        raise DecodeError("Sparkplug B needs protobuf: install sensor-gateway[sparkplug]") from None
    message = payload_class()()
    try:
        message.ParseFromString(payload)
    except Malformed as error:
        raise DecodeError(f"not a Sparkplug B payload: {error}") from None
    if len(message.metrics) > MAX_MEMBERS:
        raise DecodeError(f"{len(message.metrics)} metrics are more than the {MAX_MEMBERS} that a payload may have")
    return message


def sequence_number(payload: bytes) -> int | None:
    """The payload's `seq` by a walk over its top-level fields: every data message pays for it, so nothing is parsed."""
    at, end = 0, len(payload)
    try:
        while at < end:
            tag, at = _varint(payload, at)
            wire = tag & 7
            if wire == 0:
                value, at = _varint(payload, at)
                if tag == 0x18:
                    return value
            elif wire == 2:
                length, at = _varint(payload, at)
                at += length
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                return None
    except IndexError:
        return None
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError


def _members(
    metrics: Any, device: str | None, node: _Node | None, prefix: str = "", level: int = 0
) -> Iterator[tuple[Any, _Metric]]:
    """All metrics with a name, of template instances as "template/member"; the birth fills in what is left out."""
    for metric in metrics:
        if metric.HasField("name"):
            if not isinstance(metric.name, str):  # protobuf hands out bytes for text that is not UTF-8
                raise DecodeError("a metric's name is not UTF-8")
            name = prefix + metric.name
            known = node.names.get((device, name)) if node else None
        elif metric.HasField("alias") and node is not None:
            known = node.aliases.get((device, metric.alias))
            name = known.name if known else ""
        else:
            continue
        if not name or len(name) > MAX_NAME or name.startswith(_CONTROL):
            continue
        if metric.WhichOneof("value") == "template_value":
            template = metric.template_value
            if level < _MAX_TEMPLATE and not template.is_definition:
                yield from _members(template.metrics, device, node, f"{name}/", level + 1)
            continue
        datatype = metric.datatype if metric.HasField("datatype") else known.datatype if known else None
        stated = _unit(metric)
        yield metric, _Metric(name, datatype, stated if stated or known is None else known.unit)


def _value(metric: Any, datatype: int | None) -> Value | None:
    """The metric's value by its datatype; None for null, text, bytes, sets, and for what contradicts the type."""
    field = metric.WhichOneof("value")
    if metric.is_null or field is None or (datatype is not None and datatype not in _NUMERIC):
        return None
    value = getattr(metric, field)
    if field == "boolean_value":
        return bool(value)
    if field in ("int_value", "long_value"):
        return _integer(value, 32 if field == "int_value" else 64, datatype)
    if field == "float_value":
        value = shortest(value)
    elif field != "double_value":
        return None
    return value if is_number(value) else None


def _integer(raw: int, width: int, datatype: int | None) -> Value | None:
    """A signed value travels as two's complement in an unsigned field of `width` bits: only the datatype tells."""
    if datatype == _BOOLEAN:
        return bool(raw) if raw in (0, 1) else None
    if datatype in _FLOATS:
        return raw
    if datatype in _UNSIGNED:
        return raw if raw < 1 << _UNSIGNED[datatype] else None
    if datatype not in _SIGNED:
        return raw if raw < 1 << (width - 1) else None
    bits = _SIGNED[datatype]
    half = 1 << (bits - 1)
    if raw < half:
        # The upper half of 32 bits is a negative number that the sender did not extend, or a positive one: no guess.
        return raw if bits <= width or raw < 1 << (width - 1) else None
    if raw >= (1 << width) - half:
        return raw - (1 << width)
    return raw - (1 << bits) if raw < 1 << bits else None


def shortest(value: float) -> float:
    """The shortest decimal that is the same single-precision number: 28.9, not 28.899999618530273."""
    try:
        single = struct.pack("<f", value)
        for digits in (6, 7, 8):
            decimal = float(f"{value:.{digits}g}")
            if struct.pack("<f", decimal) == single:
                return decimal
    except OverflowError:
        return value
    return value


def _unit(metric: Any) -> str | None:
    properties = metric.properties
    for key, held in zip(properties.keys, properties.values, strict=False):
        if key.lower() in _UNITS and held.HasField("string_value"):
            return unit(held.string_value)
    return None


def _is_bad(metric: Any) -> bool:
    properties = metric.properties
    for key, held in zip(properties.keys, properties.values, strict=False):
        if key.lower() == "quality" and held.WhichOneof("value") in ("int_value", "long_value"):
            code = held.int_value if held.HasField("int_value") else held.long_value
            return code in (_BAD, _STALE)
    return False


def _birth_number(message: Any) -> int | None:
    for metric in message.metrics:
        if metric.name == "bdSeq" and not metric.is_null:
            return int(metric.long_value if metric.HasField("long_value") else metric.int_value)
    return None
