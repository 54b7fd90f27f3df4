"""A Sparkplug B payload's metrics: names, values by their datatypes, units and quality (Sparkplug 3.0, section 6.4).

No state: what a birth said is handed in by whoever keeps it.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from devices.numbers import MAX_STATE, is_number
from devices.reading import DecodeError, Value
from devices.units import unit

MAX_MEMBERS = 20_000  # metrics of one message
MAX_NAME = 512  # characters of a metric's name
_MAX_TEMPLATE = 4  # levels of templates within templates

_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}  # datatype: bits
_UNSIGNED = {5: 8, 6: 16, 7: 32, 8: 64}
_FLOATS = (9, 10)
_BOOLEAN = 11
_NUMERIC = frozenset((*_SIGNED, *_UNSIGNED, *_FLOATS, _BOOLEAN))
_UNITS = frozenset(("engunit", "engunits", "engineering unit", "engineering units", "unit", "units"))
_BAD = 0  # OPC quality code of the Quality property: 0 bad, 192 good
_STALE = 500
_CONTROL = ("bdSeq", "Node Control/", "Device Control/")


class Metric(NamedTuple):
    """What a birth says of one metric."""

    name: str
    datatype: int | None
    unit: str | None


#: (name, None) or (None, alias) of a metric -> what its birth said of it
Known = Callable[[str | None, int | None], Metric | None]


def parse(payload: bytes) -> Any:
    """The payload as a protobuf message. Raises DecodeError if it is none, too large, or protobuf is not installed."""
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


def members(metrics: Any, known: Known, prefix: str = "", level: int = 0) -> Iterator[tuple[Any, Metric]]:
    """All metrics with a name, of template instances as "template/member"; the birth fills in what is left out."""
    for metric in metrics:
        if metric.HasField("name"):
            name = metric.name
            # What is no UTF-8 comes out as bytes, or as UnicodeDecodeError, depending on protobuf's implementation.
            if not isinstance(name, str):
                raise DecodeError(f"a metric's name is not UTF-8: {name[:40]!r}")
            name = prefix + name
            birth = known(name, None)
        elif metric.HasField("alias"):
            birth = known(None, metric.alias)
            name = birth.name if birth else ""
        else:
            continue
        if not name or len(name) > MAX_NAME or name.startswith(_CONTROL):
            continue
        if metric.WhichOneof("value") == "template_value":
            template = metric.template_value
            if level < _MAX_TEMPLATE and not template.is_definition:
                yield from members(template.metrics, known, f"{name}/", level + 1)
            continue
        datatype = metric.datatype if metric.HasField("datatype") else birth.datatype if birth else None
        stated = _unit(metric)
        yield metric, Metric(name, datatype, stated if stated or birth is None else birth.unit)


def value_of(metric: Any, datatype: int | None) -> Value | None:
    """The metric's value by its datatype; None for null, text, bytes, sets, and for what contradicts the type."""
    field = metric.WhichOneof("value")
    if metric.is_null or field is None or (datatype is not None and datatype not in _NUMERIC):
        return None
    value = getattr(metric, field)
    if field == "boolean_value":
        return bool(value) if datatype in (None, _BOOLEAN) else None
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


def is_bad(metric: Any) -> bool:
    """Whether the metric's own Quality property says that its value is not to be trusted."""
    properties = metric.properties
    for key, held in zip(properties.keys, properties.values, strict=False):
        if key.lower() == "quality" and held.WhichOneof("value") in ("int_value", "long_value"):
            code = held.int_value if held.HasField("int_value") else held.long_value
            return code in (_BAD, _STALE)
    return False


def birth_number(message: Any) -> int | None:
    """The bdSeq metric, which ties a node's last will to its birth."""
    for metric in message.metrics:
        if metric.name == "bdSeq" and not metric.is_null:
            return int(metric.long_value if metric.HasField("long_value") else metric.int_value)
    return None
