"""Mappings: what a payload means, said in the configuration, for everything that no family decodes.

`[[device]] filter = "plant/+line/boiler/+id/raw"`, `readings = [{quantity = "temperature", path = "t.celsius", …}]`:
named levels (`+line`) may be used in `device` and `channel`, paths are jmespath, `scale` and `offset` calibrate,
`deadband` and `min_interval` thin out at the edge, a value outside `range` is flagged and delivered all the same.
"""

import math
import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from devices import numbers, quantities, units
from devices.bounded import MAX_KEY, Bounded
from devices.reading import DecodeError, DeviceState, Reading

OUT_OF_RANGE = "out-of-range"
_NAME = re.compile(r"\+(\w+)")
_MAX_CHANNELS = 10_000


class ReadingRule(Protocol):
    """One value of a mapping. Empty text means "not said"; `min_interval` is in seconds, `range` (low, high) or ()."""

    @property
    def quantity(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def scale(self) -> float: ...
    @property
    def offset(self) -> float: ...
    @property
    def deadband(self) -> float: ...
    @property
    def min_interval(self) -> float: ...
    @property
    def range(self) -> Sequence[float]: ...


class DeviceRule(Protocol):
    """One `[[device]]` of the configuration: a family by name, or a mapping where `readings` is not empty."""

    @property
    def filter(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def area(self) -> str: ...
    @property
    def keep(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def readings(self) -> Sequence[ReadingRule]: ...


class Expression(Protocol):
    """A compiled jmespath."""

    def search(self, value: object) -> object: ...


class Filter:
    """A topic filter whose `+` levels may have names: `plant/+line/raw`."""

    def __init__(self, text: str) -> None:
        self.levels = text.split("/")
        self.rest = self.levels[-1] == "#"
        if self.rest:
            self.levels.pop()

    def match(self, topic: str) -> dict[str, str] | None:
        """Name → level of the named levels, None if the topic does not match (MQTT 5.0, section 4.7)."""
        levels = topic.split("/")
        if len(levels) < len(self.levels) or (len(levels) > len(self.levels) and not self.rest):
            return None
        if topic[:1] == "$" and (not self.levels or self.levels[0][:1] == "+"):
            return None
        names: dict[str, str] = {}
        for wanted, level in zip(self.levels, levels, strict=False):
            if wanted[:1] == "+":
                if len(wanted) > 1:
                    names[wanted[1:]] = level
            elif wanted != level:
                return None
        return names


class Mapping:
    """The decoder of one `[[device]]` with readings. Raises ValueError for a path that is no jmespath.

    Thinning remembers the last value of every channel, so each message is to be decoded once; asking for the same
    message again in a row gives the same answer.
    """

    family = "mapping"

    def __init__(self, rule: DeviceRule) -> None:
        self.filter = Filter(rule.filter)
        self.format = rule.format
        self._readings = [(item, _compile(item.path), units.unit(item.unit)) for item in rule.readings]
        self._last: Bounded[tuple[str, str | None, str], tuple[float, float]] = Bounded(_MAX_CHANNELS)
        self._answer: tuple[str, bytes, float, list[Reading]] | None = None

    def recognises(self, topic: str, payload: bytes) -> bool:
        return self.filter.match(topic) is not None

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return ()

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        last = self._answer
        if last is not None and last[1] is payload and last[0] == topic and last[2] == now:
            return last[3]
        names = self.filter.match(topic)
        if names is None or not payload:
            return []
        document = _load(self.format, payload)
        out: list[Reading] = []
        failed: str | None = None
        for rule, expression, unit in self._readings:
            try:
                found = document if expression is None else expression.search(document)
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                failed = f"path {rule.path!r}: {error}"
                continue
            value = _value(found)
            if value is None:
                continue
            channel = _fill(rule.channel, names) or None
            device = _fill(rule.device, names) or self._device(topic, names, rule.channel)
            if isinstance(value, bool):
                if not quantities.measures(rule.quantity):
                    out.append(Reading(device, channel, rule.quantity, value, None, None))
                continue
            value = value * rule.scale + rule.offset
            if not math.isfinite(value) or self._thinned((device, channel, rule.quantity), value, now, rule):
                continue
            flag = None if not rule.range or rule.range[0] <= value <= rule.range[-1] else OUT_OF_RANGE
            out.append(Reading(device, channel, rule.quantity, value, unit, None, flag))
        if failed is not None and not out:  # a function on a missing value must not cost the other readings
            raise DecodeError(failed)
        self._answer = (topic, payload, now, out)
        return out

    def _device(self, topic: str, names: dict[str, str], channel: str) -> str:
        """Without `device`: the named levels that the channel does not use, else the topic."""
        left = [level for name, level in names.items() if f"+{name}" not in channel]
        return "/".join(left) or topic

    def _thinned(self, key: tuple[str, str | None, str], value: float, now: float, rule: ReadingRule) -> bool:
        if (not rule.deadband and not rule.min_interval) or len(key[0]) > MAX_KEY:
            return False
        last = self._last.get(key)
        if last is not None and (abs(value - last[0]) < rule.deadband or 0 <= now - last[1] < rule.min_interval):
            return True
        self._last[key] = value, now
        return False


def _compile(path: str) -> Expression | None:
    if not path:
        return None
    import jmespath  # optional at run time: only mappings with paths need it

    try:
        compiled: Expression = jmespath.compile(path)
    except jmespath.exceptions.JMESPathError as error:
        # The library draws the place over three lines; one is what a message has.
        raise ValueError(f"path {path!r} is not jmespath: {str(error).split(', for expression')[0]}") from None
    return compiled


def _fill(text: str, names: dict[str, str]) -> str:
    return _NAME.sub(lambda found: names.get(found[1], found[0]), text) if "+" in text else text


def _load(format: str, payload: bytes) -> object:
    if format == "text":
        if len(payload) > numbers.MAX_TEXT:
            raise DecodeError(f"{len(payload)} bytes are no plain value")
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"not UTF-8: {error.reason}") from None
    if format == "cbor":
        from devices.cbor import load_cbor  # needs the extra "cbor"

        return load_cbor(payload)
    if format == "msgpack":
        return _load_msgpack(payload)
    return numbers.load_json(payload)


def _load_msgpack(payload: bytes) -> object:
    if len(payload) > numbers.MAX_JSON:
        raise DecodeError(f"{len(payload)} bytes are more than the {numbers.MAX_JSON} that a document may have")
    try:
        document: object = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise DecodeError(f"not MessagePack: {error}") from None
    if numbers.depth(document) > numbers.MAX_DEPTH:
        raise DecodeError(f"nested more than {numbers.MAX_DEPTH} levels deep")
    return document


def _value(found: object) -> float | bool | None:
    if isinstance(found, str):
        measured = numbers.measured(found) if len(found) <= numbers.MAX_TEXT else None
        return numbers.truth(found) if measured is None else measured[0]
    return found if isinstance(found, bool) or numbers.is_number(found) else None  # type: ignore[return-value]
