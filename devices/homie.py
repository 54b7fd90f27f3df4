"""The Homie convention, versions 2 to 5: `<base>/<device>/<node>/<property>`, described by retained `$` attributes.

Source: homieiot.github.io, specifications 2.0.1 to 5.0. A device is found by its `$homie` (2-4) or `$description` (5)
under any base topic; units and data types come from its attributes. Floats are strict: a dot, no blanks, no NaN.
"""

import re
from collections.abc import Sequence

from devices import numbers, quantities, units
from devices.bounded import MAX_KEY, Bounded
from devices.reading import DecodeError, DeviceState, Reading, Value

_MAX_DEVICES = 1000
_MAX_PROPERTIES = 10_000
_FLOAT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_STATES = {"init": True, "ready": True, "sleeping": True, "alert": True, "disconnected": False, "lost": False}
_OF_DEVICE = frozenset(("$homie", "$state", "$description", "$online", "$stats"))
_STATS = {
    "signal": ("signal_quality", "%"), "battery": ("battery", "%"), "cputemp": ("temperature", "°C"),
    "uptime": ("uptime", "s"), "supply": ("voltage", "V"), "freeheap": ("freeheap", "B"),
}  # fmt: skip
_TEXT_TYPES = frozenset(("string", "enum", "color", "datetime", "duration", "json"))
_VAGUE = frozenset(("concentration", "value", "state", "level", "measurement"))  # properties that their node names


class Homie:
    """Learns devices, units and data types from `$` topics; decodes property values."""

    family = "homie"

    def __init__(self) -> None:
        self.generation = 0  # goes up with every device that becomes known
        self._devices: Bounded[str, None] = Bounded(_MAX_DEVICES)  # <base>/<device>
        self._types: Bounded[str, str] = Bounded(_MAX_PROPERTIES)  # property topic → data type
        self._units: Bounded[str, str] = Bounded(_MAX_PROPERTIES)  # property topic → unit
        self.names: Bounded[str, str] = Bounded(_MAX_DEVICES)  # device → name

    def recognises(self, topic: str, payload: bytes) -> bool:
        return self._split(topic) is not None

    def claims(self, topic: str) -> bool:
        return "/$" in topic or (topic.endswith("/unit") and self._split(topic) is not None)

    def _split(self, topic: str) -> tuple[str, list[str]] | None:
        """(`<base>/<device>`, levels below it), for `$` attributes of any base and properties of known devices."""
        if topic.startswith("$"):
            return None
        levels = topic.split("/")
        attribute = next((index for index, level in enumerate(levels) if level[:1] == "$"), None)
        if levels[0] == "homie" and len(levels) > 2:
            at = 3 if levels[1] == "5" else 2
            if levels[at - 1][:1] == "$":
                return topic, []  # $broadcast: to all devices, of none
            return "/".join(levels[:at]), levels[at:]
        for at in range(2, min(len(levels), 5)):
            if "/".join(levels[:at]) in self._devices:
                return "/".join(levels[:at]), levels[at:]
        if attribute is not None and attribute >= 2 and levels[attribute] in _OF_DEVICE:
            return "/".join(levels[:attribute]), levels[attribute:]
        return None

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        split = self._split(topic)
        if split is None or not split[1] or len(topic) > MAX_KEY:
            return ()
        root, rest = split
        last = rest[-1]
        if not payload:
            if last in ("$homie", "$description"):
                self._devices.pop(root, None)
            return ()
        if last == "$description" and len(rest) == 1:
            self._describe(root, payload)
            return ()
        if len(payload) > numbers.MAX_TEXT:
            return ()
        text = payload.decode("utf-8", "replace").strip()
        if len(rest) == 1:
            if last == "$homie":
                self._found(root)
            elif last == "$name":
                self.names[root.rpartition("/")[2]] = text
            elif last in ("$state", "$online"):
                online = _STATES.get(text) if last == "$state" else {"true": True, "false": False}.get(text)
                return () if online is None else (DeviceState(root.rpartition("/")[2], online),)
        elif len(rest) == 3 and last in ("$unit", "$datatype"):
            place = f"{root}/{rest[0]}/{rest[1]}"
            if last == "$datatype":
                self._types[place] = text
            elif (unit := units.unit(text)) is not None:
                self._units[place] = unit
        elif len(rest) == 2 and last == "unit":
            # Version 2 has no $unit: a property of that name speaks for its node.
            unit = units.known_unit(text) or units.known_unit(text.upper())
            if unit is not None:
                self._units[f"{root}/{rest[0]}"] = unit
        return ()

    def _found(self, root: str) -> None:
        if root not in self._devices:
            self._devices[root] = None
            self.generation += 1

    def _describe(self, root: str, payload: bytes) -> None:
        """Version 5: one JSON document with all nodes and properties."""
        document = numbers.load_object(payload, numbers.MAX_STATE)
        self._found(root)
        name, nodes = document.get("name"), document.get("nodes")
        if isinstance(name, str) and len(name) <= 256:
            self.names[root.rpartition("/")[2]] = name
        for node, body in nodes.items() if isinstance(nodes, dict) else ():
            properties = body.get("properties") if isinstance(body, dict) else None
            for key, item in properties.items() if isinstance(properties, dict) else ():
                if not isinstance(item, dict) or len(root) + len(node) + len(key) > MAX_KEY:
                    continue
                kind, unit = item.get("datatype"), units.unit(item.get("unit"))
                if isinstance(kind, str) and len(kind) <= 32:
                    self._types[f"{root}/{node}/{key}"] = kind
                if unit is not None:
                    self._units[f"{root}/{node}/{key}"] = unit

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        split = self._split(topic)
        if split is None or not payload:
            return []
        root, rest = split
        device = root.rpartition("/")[2]
        if len(rest) == 2 and rest[0] == "$stats" and rest[1] in _STATS:
            value = numbers.number(payload[:64].decode("utf-8", "replace"))
            quantity, unit = _STATS[rest[1]]
            return [] if value is None else [Reading(device, "$stats", quantity, value, unit, None)]
        if len(rest) != 2 or rest[0][:1] == "$" or rest[1][:1] == "$" or rest[1] == "unit":
            return []
        node, key = rest
        kind = self._types.get(topic)
        if kind in _TEXT_TYPES:
            return []
        if len(payload) > numbers.MAX_TEXT:
            raise DecodeError(f"{len(payload)} bytes are no property value")
        try:
            measured = _value(kind, payload.decode())
        except UnicodeDecodeError:
            raise DecodeError("a property value must be UTF-8") from None
        if measured is None:
            return []
        quantity = "opening" if key == "open" and isinstance(measured, bool) else quantities.quantity(key)
        if quantity in _VAGUE and quantities.quantity(node) in quantities.QUANTITIES:
            quantity = quantities.quantity(node)
        stated = None if isinstance(measured, bool) else self._units.get(topic) or self._units.get(f"{root}/{node}")
        return [Reading(device, node, quantity, measured, stated, None)]


def _value(kind: str | None, text: str) -> Value | None:
    """The value by its data type; without one what the text plainly is. Raises DecodeError for a type's wrong text."""
    if kind == "float" or kind == "integer":
        pattern = _FLOAT if kind == "float" else _INTEGER
        value = numbers.number(text) if pattern.fullmatch(text) else None
        if value is None:
            raise DecodeError(f"a {kind} was expected, not {text[:40]!r}")
        return value
    on = {"true": True, "false": False}.get(text)
    if kind == "boolean":
        if on is None:
            raise DecodeError(f"true or false was expected, not {text[:40]!r}")
        return on
    return numbers.number(text) if on is None else on
