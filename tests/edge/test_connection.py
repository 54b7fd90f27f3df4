"""When a connection is looked after: not every second, but as soon as something happens to it."""

import asyncio

import pytest
from support.edge import Edge, receive, say
from support.sleeper import Sleeper, until

from gateway.edge.admission import ServerLimits
from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity
from gateway.edge.dialects.native import NativeJson
from gateway.edge.roles import VIEWER
from gateway.hub.outbox import Bounds


class Beating(NativeJson):
    """With signs of life of its own."""

    beats = True


def resting(connection: Connection) -> bool:
    """Whether nobody looks at it within the next ten seconds."""
    return connection.host.clock() + 10 < connection.due < connection.host.clock() + 20


def looked_after(connection: Connection) -> None:
    connection.tick(connection.host.clock(), 10.0)


async def test_one_at_rest_is_left_alone_until_its_heartbeat_is_due():
    async with Edge() as edge, edge.connect("?topic=%23&replay=none") as client:
        await receive(client, "welcome")
        [connection] = edge.server.connections.values()
        looked_after(connection)
        assert resting(connection)
        edge.publish("t")
        await receive(client, "message")
        assert resting(connection)


@pytest.mark.parametrize("happening", ["a command", "a pong", "other limits", "other rules", "its end"])
async def test_whatever_happens_to_it_it_is_looked_after_at_once(happening):
    async with Edge() as edge, edge.connect("?topic=%23&replay=none") as client:
        await receive(client, "welcome")
        [connection] = edge.server.connections.values()
        looked_after(connection)
        match happening:
            case "a command":
                await say(client, type="ping", id=1)
                await receive(client, "pong")
            case "a pong":
                await client.pong()
                await until(lambda: not connection.due)
            case "other limits":
                edge.server.adopt(ServerLimits(interval=1.0), Bounds())
            case "other rules":
                edge.server.review()
            case "its end":
                connection.finish(1000, "enough")
        assert connection.due == 0.0


async def test_one_who_does_not_take_all_is_looked_after_every_second():
    async with Edge(bounds=Bounds(soft=16_384)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        [connection] = edge.server.connections.values()
        looked_after(connection)
        assert resting(connection)
        while not connection.line.queued:
            edge.publish("t", b'"%b"' % (b"x" * 10_000))
            await asyncio.sleep(0)
        assert connection.due == 0.0
        looked_after(connection)
        assert connection.due <= connection.host.clock()
        sleeper.close()


@pytest.mark.parametrize("reason", ["an end of its credential", "only the newest values", "heart-beats of its own"])
async def test_one_with_something_to_mind_is_looked_after_every_second(reason):
    query = "?topic=%23&replay=none&mode=latest" if reason == "only the newest values" else "?topic=%23&replay=none"
    async with Edge() as edge, edge.connect(query) as client:
        await receive(client, "welcome")
        [connection] = edge.server.connections.values()
        session = connection.session
        if reason == "an end of its credential":
            session.become(Identity(VIEWER, "somebody", expires=edge.room.wall() + 1000))
        elif reason == "heart-beats of its own":
            session.dialect = Beating()
        looked_after(connection)
        assert connection.due <= connection.host.clock()
