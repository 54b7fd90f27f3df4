"""The data under /api: last values, the gateway's state, its clients. Each caller sees what its role may see. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity
from gateway.edge.dialects.sse import json_of
from gateway.edge.front import Front
from gateway.edge.http import Reply, Target
from gateway.edge.listeners import Endpoint, Listeners
from gateway.edge.roles import may_see
from gateway.edge.room import Room
from gateway.edge.states import State
from gateway.edge.visits import Resource
from gateway.hub.readings import Readings
from gateway.topics import matches, validate_filter

TOPICS = 1000  # in one answer, unless `limit` says otherwise
MOST_TOPICS = 10_000
DECODED = 2000  # at about 10 µs each
MOST_BYTES = 8 * 1024 * 1024
_JSON = "application/json"


class Limits(Protocol):
    """What all connections together are bounded by."""

    @property
    def connections(self) -> int:
        """How many there may be."""


class Edge(Protocol):
    """What the answers are taken from: the server."""

    room: Room
    front: Front
    listeners: Listeners
    connections: dict[int, Connection]
    counts: Counter[str]
    accepted: int
    started: float

    @property
    def limits(self) -> Limits:
        """Those of the server."""

    @property
    def lost(self) -> int:
        """Messages that clients did not get, ever."""


def resources(edge: Edge) -> dict[str, Resource]:
    """The paths that the edge itself can answer."""
    return {
        "/api/topics": Resource("", lambda who, target: topics(edge.room, who, target)),
        "/api/version": Resource("", lambda who, target: version(edge)),
        "/api/status": Resource("gateway", lambda who, target: status(edge)),
        "/api/clients": Resource("gateway", lambda who, target: clients(edge)),
    }


def topics(room: Room, who: Identity, target: Target) -> Reply:
    """The last values, by topic; `?topic=` narrows, `limit` and `after` (a topic) page. Raises ValueError.

    `complete` is false where more would follow: ask again with `after` the last topic.
    """
    filters = target.all("topic")
    for filter in filters:
        validate_filter(filter)
    limit, after = _limit(target), target.one("after")

    def wanted(topic: str) -> bool:
        return topic > after and (not filters or any(matches(f, topic) for f in filters)) and may_see(who.role, topic)

    found = sorted(room.hub.last(wanted), key=lambda message: message.topic)
    parts: list[bytes] = []
    size = 0
    for message in found[:limit]:
        size += len(message.payload) + 100
        if parts and size > MOST_BYTES:
            break
        parts.append(json_of(message))
    complete = b"true" if len(parts) == len(found) else b"false"
    body = b'{"epoch":%b,"offset":%d,"complete":%b,"topics":[%b]}' % (
        msgspec.json.encode(room.log.epoch),
        room.log.newest,
        complete,
        b",".join(parts),
    )
    return Reply(200, body, _JSON)


def devices(room: Room, readings: Readings, who: Identity) -> Reply:
    """The devices behind the topics that the caller may see: names, availability, and the last value of each reading.

    Topics that nobody has asked readings of yet are decoded now, at most DECODED of them in one answer.
    """
    known = {value["topic"] for device in readings.registry.devices(0.0) for value in _values(device)}
    fresh = room.hub.last(lambda topic: topic not in known and may_see(who.role, topic))
    for message in fresh[-DECODED:]:
        readings.of(message)
    shown = []
    for device in readings.registry.devices(room.wall()):
        channels = {
            channel: {quantity: value for quantity, value in quantities.items() if may_see(who.role, value["topic"])}
            for channel, quantities in device["channels"].items()
        }
        channels = {channel: quantities for channel, quantities in channels.items() if quantities}
        if channels:
            shown.append({**device, "channels": channels})
    return _json({"devices": shown})


def _values(device: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for quantities in device["channels"].values():
        yield from quantities.values()


def _limit(target: Target) -> int:
    text = target.one("limit", str(TOPICS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_TOPICS:
        raise ValueError(f"limit is a whole number from 1 to {MOST_TOPICS}")
    return int(text)


def version(edge: Edge) -> Reply:
    """Which gateway this is."""
    return _json({"gateway": edge.room.name, "build": edge.room.build, "protocols": ["sensor-gateway.v1"]})


def status(edge: Edge, more: Mapping[str, Any] | None = None) -> Reply:
    """How the gateway is: links, connections, why others were refused, certificates; and what else the caller knows."""
    room, front = edge.room, edge.front
    told = {
        "gateway": room.name,
        "build": room.build,
        "since": round(edge.started, 3),
        "timestamp": round(room.wall(), 3),
        "clock": room.clock_state,
        "epoch": room.log.epoch,
        "offset": room.log.newest,
        "topics": room.hub.topics,
        "audiences": room.hub.audiences,
        "received": room.hub.received,
        "delivered": room.hub.delivered,
        "lost": edge.lost,
        "upstreams": [msgspec.to_builtins(state) for state in room.upstreams.states()],
        "connections": {
            "now": len(edge.connections),
            "limit": edge.limits.connections,
            "sessions": sum(c.session is not None for c in edge.connections.values()),
            "accepted": edge.accepted,
            "refused": dict(sorted(edge.counts.items())),
        },
        "commands": {"refused": dict(sorted(room.refused.items()))},
        "draining": front.draining,
        "listeners": [_listener(endpoint) for endpoint in edge.listeners.endpoints],
        "rejected_origins": [msgspec.to_builtins(each) for each in front.rejections.latest()],
    }
    return _json({**told, **(more or {})})


def _listener(endpoint: Endpoint) -> dict[str, Any]:
    facts = endpoint.tls.facts if endpoint.tls is not None else None
    return {
        "address": str(endpoint),
        "names": list(facts.names) if facts is not None else [],
        "certificate_expires": facts.not_after if facts is not None else None,
    }


def clients(edge: Edge) -> Reply:
    """Everybody who is connected.

    `sent` counts bytes (two looks make a rate); `rtt` in seconds is that of the last ping, else the kernel's;
    `interval` in seconds is what the gateway imposes on a client that does not keep up.
    """
    now = edge.room.clock()
    return _json({"clients": list(_clients(edge.connections.values(), now))})


def _clients(connections: Iterable[Connection], now: float) -> Iterable[dict[str, Any]]:
    for connection in connections:
        session = connection.session
        if session is None or connection.state is not State.OPEN:
            continue
        who, traffic = session.identity, connection.traffic
        rtt = connection.rtt if connection.rtt is not None or traffic is None else traffic.rtt
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


def _json(value: object) -> Reply:
    return Reply(200, msgspec.json.encode(value), _JSON)
