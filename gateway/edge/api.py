"""What stands under /api, and the short answers: which gateway this is, and how it is. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from gateway.edge.connection import Connection
from gateway.edge.endpoints import Endpoint
from gateway.edge.front import Front
from gateway.edge.http import Reply
from gateway.edge.listeners import Listeners
from gateway.edge.lists import clients, topics
from gateway.edge.numbers import history
from gateway.edge.room import Room
from gateway.edge.visits import Resource

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
        "/api/history": Resource("", lambda who, target: history(edge.room, who, target)),
        "/api/version": Resource("", lambda who, target: version(edge)),
        "/api/status": Resource("gateway", lambda who, target: status(edge)),
        "/api/clients": Resource("gateway", lambda who, target: clients(edge.connections.values(), edge.room.clock())),
    }


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
        "topics": len(room.hub.values),
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
        "draining": front.open.draining,
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


def _json(value: object) -> Reply:
    return Reply(200, msgspec.json.encode(value), _JSON)
