"""A single client that asks for much must not take the gateway from everybody else."""

import asyncio
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.conversation import House
from support.edge import Edge, receive, say
from support.sleeper import Sleeper, until
from websockets.exceptions import ConnectionClosed

from gateway.edge.admission import ServerLimits
from gateway.edge.dialects.native import NativeJson
from gateway.edge.session import Session
from gateway.hub.ports import CONNECTED, UpstreamState
from gateway.topics import FEW, any_of, matches, validate_filter


def _valid(text: str) -> bool:
    try:
        validate_filter(text)
    except ValueError:
        return False
    return True


levels = st.sampled_from(["a", "b", "+", "#", "$x", ""])
filters = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(_valid)
topics = st.lists(st.sampled_from(["a", "b", "$x", ""]), min_size=1, max_size=4).map("/".join).filter(bool)


@settings(max_examples=300, deadline=None)
@given(st.lists(filters, max_size=3 * FEW), topics)
def test_many_filters_match_what_one_of_them_matches(many, topic):
    assert any_of(tuple(many))(topic) == any(matches(filter, topic) for filter in many)


@pytest.mark.timing
@pytest.mark.parametrize("replay", ["last", "none", {"count": 100_000}, {"age": 600}])
async def test_a_hundred_wild_filters_over_many_topics_cost_no_more_than_a_moment(replay):
    """Each subscribe once looked at every topic with every filter: 16 seconds in which nobody else was served."""
    async with Edge() as edge:
        for number in range(20_000):
            edge.publish(f"site/{number % 50}/area/{number % 400}/device/{number}/value", "1")
        wild = [f"site/+/area/+/device/+/x{number}" for number in range(100)]
        async with edge.connect() as client:
            await receive(client, "welcome")
            began = time.process_time()
            await say(client, type="subscribe", id=1, topics=wild, replay=replay)
            await receive(client, "ok", 30)
            if replay != "none":
                await receive(client, "replayed", 30)
            await say(client, type="unsubscribe", id=2, topics=wild)
            while "unsubscribed" not in await receive(client, "ok", 30):
                pass
            assert time.process_time() - began < 2.0


class Trapped(NativeJson):
    """The native protocol with faults in it."""

    def commands(self, data, *, text):
        if data == b"trap":
            raise ZeroDivisionError("in a command")
        self.armed = data == b"arm"
        return super().commands(data, text=text)

    def beat(self, now):
        if getattr(self, "armed", False):
            raise ZeroDivisionError("in a beat")
        return super().beat(now)


@pytest.mark.parametrize("word", ["trap", "arm"])
async def test_a_fault_of_ours_costs_one_client_and_nobody_else(word, caplog):
    """The first exception in a beat ended the looking after of everybody: no pings, no deadlines, until a restart."""
    limits = ServerLimits(interval=0.5, timeout=0.5)
    async with Edge(dialects={"": Trapped}, limits=limits) as edge, edge.connect() as other:
        async with edge.connect() as client:
            await receive(client, "welcome")
            await client.send(word)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await client.recv()
            assert closed.value.rcvd.code == 1011
        assert edge.server.counts["fault"] == 1
        assert "ZeroDivisionError" in caplog.text
        await receive(other, "welcome")
        [connection] = edge.server.connections.values()
        connection.heartbeat.rtt = None
        async with asyncio.timeout(5):
            while connection.heartbeat.rtt is None:  # noqa: ASYNC110 - the answer to a ping has no event here
                await asyncio.sleep(0.01)


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("somewhere in a session")


async def test_a_fault_at_the_very_end_does_not_keep_a_connection_for_ever(monkeypatch, caplog):
    """It stayed in the table, its socket open, and was tried again at every word from the network."""
    async with Edge() as edge:
        async with edge.connect() as client:
            await receive(client, "welcome")
            monkeypatch.setattr(Session, "end", broken)
        await until(lambda: not edge.server.connections)
        monkeypatch.undo()
    assert edge.server.counts["fault"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_fault_when_the_socket_has_taken_all_ends_the_client_with_1011(monkeypatch):
    async with Edge() as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        [connection] = edge.server.connections.values()
        while not connection.queue_size:
            edge.publish("t", '"' + "x" * 10_000 + '"')
            await asyncio.sleep(0)
        monkeypatch.setattr(Session, "drained", broken)
        got = b""
        async with asyncio.timeout(5):
            while (1011).to_bytes(2, "big") not in got:
                await asyncio.sleep(0.001)
                got = (got + sleeper.read())[-1000:]
        assert edge.server.counts["fault"] == 1
        sleeper.close()


async def test_a_fault_on_the_round_of_all_clients_does_not_end_the_rounds(monkeypatch, caplog):
    async with Edge(limits=ServerLimits(interval=0.5)) as edge, edge.connect() as client:
        await receive(client, "welcome")
        monkeypatch.setattr(edge.server.budget, "tick", broken)
        await until(lambda: edge.server.counts["fault"] >= 2)
        await receive(client, "heartbeat")
    assert "on the round of all clients" in caplog.text


@pytest.mark.parametrize("tell", ["announcer", "drain"])
async def test_a_fault_in_telling_one_client_keeps_the_news_from_nobody_else(tell, monkeypatch):
    """All who came after it in the table were not told, and the drain ended there."""
    async with Edge() as edge, edge.connect() as first, edge.connect() as second:
        for client in (first, second):
            await receive(client, "welcome")
        trapped, _ = edge.server.connections.values()
        say = Session.say
        monkeypatch.setattr(
            Session, "say", lambda self, event: broken() if self is trapped.session else say(self, event)
        )
        if tell == "announcer":
            edge.server.announcer.upstream_changed(UpstreamState("test", CONNECTED, 1.0))
        else:
            await edge.server.drain(1.0)
        await receive(second, "upstream" if tell == "announcer" else "closing")
        with pytest.raises(ConnectionClosed) as closed:
            await first.recv()
        assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize("replay", ["last", "none", "count:2"])
@pytest.mark.parametrize("path", ["/stream", "/events"])
async def test_one_that_leaves_before_its_first_word_leaves_nothing_behind(path, replay):
    """Its subscription came live after its end: the hub kept it, and tried its closed socket at every message."""
    async with Edge() as edge:
        for _ in range(3):
            edge.publish("t")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", edge.port)) as sock:
                upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                query = f"?topic=%23&replay={replay}"
                head = f"GET {path}{query} HTTP/1.1\r\nHost: localhost\r\n{upgrade if path == '/stream' else ''}\r\n"
                sock.sendall(head.encode())
        await until(lambda: edge.server.accepted == 5 and not edge.server.connections)
        async with edge.connect("?topic=%23") as client:
            await receive(client, "replayed")
        await until(lambda: not edge.server.connections)
        assert edge.hub.audiences == 0


def ends_at(client, word: bytes) -> None:
    """From now on `client` ends when it is told `word`, as one whose socket fails then."""

    def failing(push):
        def push_or_end(*told):
            push(*told)
            if b'"type":"%b"' % word in client.line.data:
                client.session.end()

        return push_or_end

    client.line.deliver, client.line.push = failing(client.line.deliver), failing(client.line.push)


@pytest.mark.parametrize("before", [False, True], ids=["first", "further"])
@pytest.mark.parametrize("word", [b"ok", b"replayed", b"message"])
def test_one_that_ends_at_any_word_of_its_subscribe_is_in_no_audience(word, before):
    house = House()
    house.publish("t")
    client = house.client("sensor-gateway.v1.json")
    if before:
        client.say('{"type":"subscribe","topics":["a"]}')
    ends_at(client, word)
    client.say('{"type":"subscribe","id":1,"topics":["#"]}')
    house.publish("t")
    assert client.session.audience is None
    assert house.hub.audiences == 0


def test_for_one_that_is_gone_nothing_is_read_from_the_log(monkeypatch):
    house = House()
    house.publish("t")
    client = house.client("sensor-gateway.v1.json")
    ends_at(client, b"ok")
    monkeypatch.setattr(house.log, "read", broken)
    client.say('{"type":"subscribe","id":1,"topics":["#"],"replay":{"count":1}}')
    house.turn()
