"""Sparkplug B (Eclipse Sparkplug 3.0): births teach names, types and units, data may carry nothing but aliases.

A passive listener: it never writes to the broker, so it cannot ask for a rebirth; what came before its birth was heard
stays undecoded. A device is "group/node" or "group/node/device", a quantity is the metric's own name.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from devices.numbers import epoch, load_object
from devices.reading import DecodeError, DeviceState, Reading
from devices.sparkplug_payload import Metric, birth_number, is_bad, members, parse, sequence_number, value_of

MAX_NODES = 1024
MAX_ENTRIES = 100_000  # names, aliases and devices of all nodes; the node whose birth is longest ago goes first

_KINDS = {"NBIRTH": 4, "NDATA": 4, "NDEATH": 4, "NCMD": 4, "DBIRTH": 5, "DDATA": 5, "DDEATH": 5, "DCMD": 5}
_OLD = "spAv1.0/"  # Sparkplug A: other payload, long superseded; known so that nothing else guesses at it


class _Node:
    """An edge node's births. Aliases are kept by device, for those that number each device's metrics anew."""

    __slots__ = ("aliases", "birth_number", "devices", "names", "sequence")

    def __init__(self) -> None:
        self.aliases: dict[tuple[str | None, int], Metric] = {}
        self.names: dict[tuple[str | None, str], Metric] = {}
        self.devices: set[str] = set()
        self.birth_number: int | None = None
        self.sequence: int | None = None

    @property
    def size(self) -> int:
        return len(self.aliases) + len(self.names) + len(self.devices)


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
        self._entries = 0
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
        message = parse(payload)
        try:
            if kind == "NBIRTH":
                return self._node_birth(place, message)
            if kind == "DBIRTH":
                node = self._nodes.get(place.node)
                if node is None:
                    node = self._admit(place.node)
                self._learn(node, place, message)
                self._count(node, message)
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
        message = parse(payload)
        node = self._nodes.get(place.node)
        sent = epoch(message.timestamp, now)
        readings: list[Reading] = []
        seen: set[tuple[str, float | None]] = set()
        try:
            for metric, known in members(message.metrics, _births(node, place.device)):
                value = value_of(metric, known.datatype)
                if value is None or is_bad(metric):
                    continue
                time = epoch(metric.timestamp, now) or sent
                if (known.name, time) not in seen:
                    seen.add((known.name, time))
                    unit = None if isinstance(value, bool) else known.unit
                    readings.append(Reading(place.path, None, known.name, value, unit, time))
        except UnicodeDecodeError as error:
            raise DecodeError(f"a name is not UTF-8: {error}") from None
        return readings

    # ── births and deaths ────────────────────────────────────────────────────────────────────────────────────────────

    def _node_birth(self, place: _Topic, message: Any) -> list[DeviceState]:
        before = self._nodes.get(place.node)
        # Devices must be born again after their node (Sparkplug 3.0, section 6.4.9): until then they are not there.
        lost = [DeviceState(path, False) for path in sorted(before.devices)] if before else []
        node = self._admit(place.node)
        node.birth_number = birth_number(message)
        node.sequence = message.seq % 256
        self._learn(node, place, message)
        return [*lost, DeviceState(place.path, True)]

    def _device_death(self, place: _Topic, message: Any) -> list[DeviceState]:
        node = self._nodes.get(place.node)
        if node is not None:
            self._count(node, message)
            self._forget(node, place)
        return [DeviceState(place.path, False)]

    def _node_death(self, place: _Topic, message: Any) -> list[DeviceState]:
        node = self._nodes.get(place.node)
        if node is None:
            return [DeviceState(place.path, False)]
        number = birth_number(message)
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
            self._entries -= node.size

    def _forget(self, node: _Node, place: _Topic) -> None:
        before = node.size
        node.names = {key: metric for key, metric in node.names.items() if key[0] != place.device}
        node.aliases = {key: metric for key, metric in node.aliases.items() if key[0] != place.device}
        node.devices.discard(place.path)
        self._entries -= before - node.size

    def _learn(self, node: _Node, place: _Topic, message: Any) -> None:
        # Read first: a birth that turns out malformed must not leave half a table.
        learned = list(members(message.metrics, _births(None, place.device)))
        self._forget(node, place)
        device, before = place.device, node.size
        if device is not None:
            node.devices.add(place.path)
        for metric, known in learned:
            node.names[device, known.name] = known
            if metric.HasField("alias"):
                node.aliases[device, metric.alias] = known
        self._entries += node.size - before
        while self._entries > MAX_ENTRIES:
            self._drop(next(iter(self._nodes)))

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
    if _KINDS.get(kind) != len(levels) or not all(levels):
        raise DecodeError("not a topic of Sparkplug B: spBv1.0/<group>/<type>/<node>[/<device>]")
    return _Topic(kind, f"{levels[1]}/{levels[3]}", levels[4] if len(levels) == 5 else None)


def _births(node: _Node | None, device: str | None) -> Callable[[str | None, int | None], Metric | None]:
    """The look-up of what a device's birth said, by name or by alias."""

    def known(name: str | None, alias: int | None) -> Metric | None:
        if node is None:
            return None
        if name is not None:
            return node.names.get((device, name))
        return None if alias is None else node.aliases.get((device, alias))

    return known
