"""The long lists under /api: last values, devices, clients; found a step at a time, as the caller may see it. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity
from gateway.edge.dialects.sse import json_of
from gateway.edge.http import Reply, Target
from gateway.edge.roles import may_see
from gateway.edge.room import Room
from gateway.edge.snapshot import Snapshot
from gateway.edge.states import State
from gateway.edge.visits import Pending
from gateway.hub.message import Message
from gateway.hub.readings import Readings
from gateway.topics import matches, validate_filter

TOPICS = 1000  # in one answer, unless `limit` says otherwise
MOST_TOPICS = 10_000
DECODED = 2000  # at about 10 µs each
MOST_BYTES = 8 * 1024 * 1024
LOOKED_AT = 512  # topics in a step: well under a millisecond
ENCODED = 64  # values or devices in one
_JSON = "application/json"
_topic = attrgetter("topic")

Thing = TypeVar("Thing")
Steps = Iterator[Reply | None]


def topics(room: Room, who: Identity, target: Target) -> Pending:
    """The last values, by topic; `?topic=` narrows, `limit` and `after` (a topic) page. Raises ValueError.

    `complete` is false where more would follow: ask again with `after` the last topic.
    """
    filters = target.all("topic")
    for filter in filters:
        validate_filter(filter)
    limit, after = _limit(target), target.one("after")

    def wanted(message: Message) -> bool:
        topic = message.topic
        return topic > after and (not filters or any(matches(f, topic) for f in filters)) and may_see(who.role, topic)

    return Pending(_topics(room, filters or ("#",), wanted, limit))


def _topics(room: Room, filters: Sequence[str], wanted: Callable[[Message], bool], limit: int) -> Steps:
    holders = room.hub.values.holders(filters)
    runs = []
    for start in range(0, len(holders), LOOKED_AT):
        messages = [holder.last for holder in holders[start : start + LOOKED_AT]]
        runs.append(sorted((m for m in messages if m is not None and (m.payload or m.size) and wanted(m)), key=_topic))
        yield None
    found = merge(*runs, key=_topic)
    several = len(room.upstreams.states()) > 1
    parts: list[bytes] = []
    size = 0
    complete = b"true"
    for message in found:
        size += len(message.payload) + 100
        if len(parts) == limit or (parts and size > MOST_BYTES):
            complete = b"false"
            break
        parts.append(json_of(message, show_upstream=several))
        if not len(parts) % ENCODED:
            yield None
    yield Reply(
        200,
        b'{"epoch":%b,"offset":%d,"complete":%b,"topics":[%b]}'
        % (msgspec.json.encode(room.log.epoch), room.log.newest, complete, b",".join(parts)),
        _JSON,
    )


def devices(room: Room, readings: Readings, who: Identity) -> Pending:
    """The devices behind the topics that the caller may see: names, availability, and the last value of each reading.

    Topics that nobody has asked readings of yet are decoded now, at most DECODED of them in one answer.
    """
    return Pending(_devices(room, readings, who))


def _devices(room: Room, readings: Readings, who: Identity) -> Steps:
    known: set[str] = set()
    for device in _paused(readings.registry.devices(0.0)):
        if device is None:
            yield None
        else:
            known.update(value["topic"] for value in _values(device))
    look = Snapshot(
        room.hub.values.holders(("#",)),
        after=-1,
        until=room.log.newest,
        wanted=lambda message: message.topic not in known and may_see(who.role, message.topic),
    )
    fresh: deque[Message] = deque(maxlen=DECODED)
    while look.looking:
        look.look()
        yield None
    while portion := look.take(LOOKED_AT):
        fresh += portion
        yield None
    for message in _paused(fresh):
        if message is None:
            yield None
        else:
            readings.of(message)
    shown = []
    for device in _paused(readings.registry.devices(room.wall())):
        if device is None:
            yield None
            continue
        channels = {
            channel: {quantity: value for quantity, value in quantities.items() if may_see(who.role, value["topic"])}
            for channel, quantities in device["channels"].items()
        }
        channels = {channel: quantities for channel, quantities in channels.items() if quantities}
        if channels:
            shown.append(msgspec.json.encode({**device, "channels": channels}))
    yield Reply(200, b'{"devices":[%b]}' % b",".join(shown), _JSON)


def _paused(things: Iterable[Thing]) -> Iterator[Thing | None]:
    """`things`, with None in between wherever it is time for a pause."""
    for number, thing in enumerate(things, 1):
        yield thing
        if not number % ENCODED:
            yield None


def _values(device: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for quantities in device["channels"].values():
        yield from quantities.values()


def _limit(target: Target) -> int:
    text = target.one("limit", str(TOPICS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_TOPICS:
        raise ValueError(f"limit is a whole number from 1 to {MOST_TOPICS}")
    return int(text)


def clients(connections: Iterable[Connection], now: float) -> Pending:
    """Everybody who is connected.

    `sent` counts bytes (two looks make a rate); `rtt` in seconds is that of the last ping, else the kernel's;
    `interval` in seconds is what the gateway imposes on a client that does not keep up.
    """
    return Pending(_told(list(connections), now))


def _told(connections: Iterable[Connection], now: float) -> Steps:
    shown = []
    for client in _paused(_clients(connections, now)):
        if client is None:
            yield None
        else:
            shown.append(msgspec.json.encode(client))
    yield Reply(200, b'{"clients":[%b]}' % b",".join(shown), _JSON)


def _clients(connections: Iterable[Connection], now: float) -> Iterator[dict[str, Any]]:
    for connection in connections:
        session = connection.session
        if session is None or connection.state is not State.OPEN:
            continue
        who, traffic = session.identity, connection.traffic
        rtt = connection.heartbeat.rtt
        if rtt is None and traffic is not None:
            rtt = traffic.rtt
        yield {
            "session": session.id,
            "address": connection.peer,
            "secure": connection.secure,
            "user": who.user if who is not None else "",
            "method": who.method if who is not None else "",
            "role": session.role.name if session.role is not None else None,
            "expires": who.expires if who is not None else None,
            "dialect": session.dialect.name,
            "age": round(now - connection.born, 1),
            "rtt": round(rtt, 6) if rtt is not None else None,
            "sent": traffic.sent if traffic is not None else None,
            "interval": session.imposed or None,
            "queue": connection.queue_size,
            "lost": connection.lost,
            "commands": session.commands,
            "subscriptions": [s.filter for s in session.subscriptions],
        }
