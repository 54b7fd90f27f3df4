"""What the control socket answers: status, clients, explain, reload."""

from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Any, Protocol

import msgspec

from gateway import __version__
from gateway.edge.connection import Connection
from gateway.edge.roles import grant, may_see
from gateway.edge.states import State
from gateway.errors import GatewayError
from gateway.lifecycle.figures import resident
from gateway.lifecycle.house import House
from gateway.operations.control import Answer
from gateway.operations.explain import ClientFacts, TopicFacts, explain
from gateway.operations.health import Health
from gateway.topics import matches, validate_topic

MOST_CLIENTS = 200


class Keeper(Protocol):
    """Who carries out what changes the gateway."""

    health: Health

    async def reload(self) -> list[str]:
        """See Service."""

    def words(self) -> str:
        """See Service."""


def answers(house: House, keeper: Keeper) -> Mapping[str, Answer]:
    """By the word that asks."""

    async def status(asked: dict[str, Any]) -> dict[str, Any]:
        return _status(house, keeper)

    async def clients(asked: dict[str, Any]) -> dict[str, Any]:
        most = int(asked.get("most", MOST_CLIENTS))
        return {"clients": [_client(each, house) for each in furthest_behind(_open(house), most)]}

    async def explained(asked: dict[str, Any]) -> dict[str, Any]:
        return _explain(house, str(asked.get("topic", "")), str(asked.get("client") or ""))

    async def reload(asked: dict[str, Any]) -> dict[str, Any]:
        return {"restart": await keeper.reload()}

    return {"status": status, "clients": clients, "explain": explained, "reload": reload}


def furthest_behind(connections: Iterable[Connection], most: int) -> list[Connection]:
    """Not the oldest: who is looked for among more than can be shown is behind."""
    return nsmallest(most, connections, key=lambda each: (-each.queue_size, -each.lost))


def _open(house: House) -> list[Connection]:
    return [each for each in house.server.connections.values() if each.session is not None and each.state is State.OPEN]


def _status(house: House, keeper: Keeper) -> dict[str, Any]:
    server, hub = house.server, house.server.room.hub
    return {
        "words": keeper.words(),
        "version": __version__,
        "name": server.room.name,
        "since": server.started,
        "now": server.room.wall(),
        "config": str(house.path.absolute()) if house.path is not None else "",
        "addresses": [str(endpoint) for endpoint in server.listeners.endpoints],
        "faults": keeper.health.faults,
        "received": hub.received,
        "delivered": hub.delivered,
        "topics": len(hub.values),
        "lost": server.lost,
        "resident": resident(),
        "budget": house.plan.budget,
        "connections": len(server.connections),
        "connections_limit": server.limits.connections,
        "refused": dict(server.counts),
        "rejected_origins": [msgspec.to_builtins(each) for each in server.front.rejections.latest()],
        "upstreams": [
            {
                **msgspec.to_builtins(link.state),
                "messages": link.counters.messages,
                "reconnects": link.counters.reconnects,
            }
            for link in house.upstreams.links
        ],
        "certificates": [
            {"address": str(endpoint), "names": list(endpoint.tls.facts.names), "expires": endpoint.tls.facts.not_after}
            for endpoint in server.listeners.endpoints
            if endpoint.tls is not None and endpoint.tls.facts is not None
        ],
    }


def _client(connection: Connection, house: House) -> dict[str, Any]:
    session = connection.session
    assert session is not None
    audience, traffic = session.audience, connection.traffic
    house.server.room.hub.settle()
    return {
        "session": session.id,
        "address": connection.peer,
        "dialect": session.dialect.name,
        "role": session.role.name if session.role is not None else "",
        "user": session.identity.user if session.identity is not None else "",
        "age": house.server.clock() - connection.born,
        "queue": connection.queue_size,
        "lost": connection.lost,
        "rtt": connection.heartbeat.rtt if connection.heartbeat.rtt is not None or traffic is None else traffic.rtt,
        "delivered": audience.delivered if audience is not None else 0,
        "filters": [subscription.filter for subscription in session.subscriptions],
    }


def _explain(house: House, topic: str, client: str) -> dict[str, Any]:
    try:
        validate_topic(topic)
    except ValueError as error:
        raise GatewayError(f"{error}: name one topic, without wildcards") from None
    connections = _open(house)
    if client:
        connections = [each for each in connections if each.session is not None and each.session.id.startswith(client)]
        if not connections:
            raise GatewayError(f"no client's session begins with {client}: sensor-gateway top shows them")
    told = [_facts_of(each, house, topic) for each in connections[:MOST_CLIENTS]]
    return explain(_topic_facts(house, topic), told)


def _topic_facts(house: House, topic: str) -> TopicFacts:
    room = house.server.room
    last = room.hub.values.last_of(topic)
    failures = [f for f in house.readings.registry.failures() if f.topic == topic]
    similar: list[str] = []
    if last is None:
        from difflib import get_close_matches  # asked for seldom

        names = [message.topic for message in room.hub.values.last(lambda name: True)]
        similar = get_close_matches(topic, names[:5000], n=3, cutoff=0.7)
    return TopicFacts(
        topic=topic,
        seen=last is not None,
        age=None if last is None or last.timestamp is None else room.wall() - last.timestamp,
        offset=last.offset if last is not None else 0,
        size=(last.size or len(last.payload)) if last is not None else 0,
        retained=last.retained if last is not None else False,
        upstreams=[(s.name, s.state, s.reason or "") for s in house.upstreams.states()],
        followed_by=[each.name for each in house.config.upstream if _follows(each, topic)],
        similar=similar,
        decode_failure="; ".join(f"{f.family} failed {f.times} times: {f.reason}" for f in failures),
    )


def _follows(settings: Any, topic: str) -> bool:
    if not topic.startswith(settings.prefix):
        return False
    bare = topic.removeprefix(settings.prefix)
    return any(
        matches(each.filter, bare) and not any(matches(exclude, bare) for exclude in each.exclude)
        for each in settings.topics
    )


def _facts_of(connection: Connection, house: House, topic: str) -> ClientFacts:
    session = connection.session
    assert session is not None
    role, now = session.role, house.server.clock()
    mine = [s for s in session.subscriptions if matches(s.filter, topic)]
    granted = ""
    if role is None:
        granted = "nobody has signed in on this connection"
    elif not may_see(role, topic):
        granted = grant(role, topic).reason or f'role "{role.name}" may not read it'
    house.server.room.hub.settle()
    sent = session.audience.sent_at if session.audience is not None else 0.0
    return ClientFacts(
        session=session.id,
        address=connection.peer,
        dialect=session.dialect.name,
        role=role.name if role is not None else "",
        state=connection.state.value,
        matching=[s.filter for s in mine],
        filters=[s.filter for s in session.subscriptions],
        modes=[_mode(s.latest, s.interval) for s in mine],
        granted=granted,
        queued_bytes=connection.queue_size,
        lost=connection.lost,
        sent_ago=now - sent if sent else None,
        heard_ago=now - connection.heartbeat.heard_at,
        rtt=connection.heartbeat.rtt,
    )


def _mode(latest: bool, interval: float) -> str:
    kind = "newest value only" if latest else "every message"
    return f"{kind}, every {interval:g} s" if interval else kind
