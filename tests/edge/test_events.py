"""Server-Sent Events over real sockets: the same session, hub, outbox and heartbeat."""

import asyncio

import msgspec
import pytest
from support.edge import Edge

from gateway.edge.admission import ServerLimits
from gateway.edge.doors import Door
from gateway.edge.roles import Role
from gateway.hub.outbox import Bounds


class Stream:
    """A client of /events, with the parser that the HTML standard asks for."""

    def __init__(self, edge, query="?topic=%23", *headers):
        self._edge = edge
        lines = [f"GET /events{query} HTTP/1.1", "Host: localhost", *headers, "", ""]
        self._request = "\r\n".join(lines).encode()
        self.last_id = ""

    async def __aenter__(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._edge.port)
        self._writer.write(self._request)
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        return self

    async def __aexit__(self, *_):
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass  # the server was first

    async def next(self, kind=None):
        while True:
            block = await asyncio.wait_for(self._reader.readuntil(b"\n\n"), 5)
            lines = block.decode().splitlines()
            data = "\n".join(line[6:] for line in lines if line.startswith("data: "))
            self.last_id = next((line[4:] for line in lines if line.startswith("id: ")), self.last_id)
            told = msgspec.json.decode(data)
            if kind is None or told["type"] == kind:
                return told

    async def rest(self):
        return await asyncio.wait_for(self._reader.read(), 5)


async def test_the_same_objects_as_over_a_websocket():
    async with Edge() as edge:
        edge.publish("a", "1")
        async with Stream(edge) as stream:
            assert stream.head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
            assert "Cache-Control: no-store" in stream.head
            assert (await stream.next())["type"] == "welcome"
            first = await stream.next()
            assert (first["topic"], first["data"], first["replay"]) == ("a", 1, True)
            assert (await stream.next())["type"] == "replayed"
            edge.publish("b", '{\n "x": 1,\r\n "y": [2]\r}')
            live = await stream.next()
            assert (live["topic"], live["data"], stream.last_id) == ("b", {"x": 1, "y": [2]}, "e1:2")


async def test_it_goes_on_after_the_last_event():
    async with Edge() as edge:
        for number in range(100):
            edge.publish("t", str(number))
        async with Stream(edge, "?topic=t", "Last-Event-ID: e1:40") as stream:
            await stream.next("welcome")
            got = [(await stream.next("message"))["offset"] for _ in range(60)]
            assert got == list(range(41, 101))
            assert (await stream.next())["type"] == "replayed"


@pytest.mark.parametrize("id", ["other:40", "nonsense", "e1:x", ":"])
async def test_after_an_event_of_another_epoch_comes_a_gap_and_a_snapshot(id):
    async with Edge() as edge:
        edge.publish("t", "7")
        async with Stream(edge, "?topic=t", f"Last-Event-ID: {id}") as stream:
            await stream.next("welcome")
            assert (await stream.next())["reason"] == "restart"
            assert (await stream.next())["data"] == 7


@pytest.mark.slow
async def test_a_silent_stream_has_heartbeats_that_carry_the_mark():
    async with Edge(limits=ServerLimits(interval=1.0, timeout=0.5)) as edge, Stream(edge, "?topic=t") as stream:
        for _ in range(3):
            await stream.next("heartbeat")
        assert stream.last_id == "e1:0"
        assert edge.server.counts["no-pong"] == 0


async def test_a_client_that_goes_leaves_nothing_behind():
    async with Edge() as edge:
        async with Stream(edge) as stream:
            await stream.next("welcome")
            await stream.next("replayed")
            assert edge.hub.audiences == 1
        async with asyncio.timeout(5):
            while edge.server.connections:  # noqa: ASYNC110 - the end of a socket has no event here
                await asyncio.sleep(0.01)
        assert edge.hub.audiences == 0


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("", 400, "name what you want"),
        ("?topic=a/%23/b", 400, "stands alone"),
        ("?topic=t&replay=x", 400, "replay is"),
        ("?topic=closed", 403, "may not subscribe"),
    ],
)
async def test_what_cannot_be_streamed_is_refused_by_status(query, status, reason):
    async with Edge(roles=[Role("viewer", subscribe=("open/#",))]) as edge, Stream(edge, query) as stream:
        assert stream.head.startswith(f"HTTP/1.1 {status} ")
        assert reason in stream.head


async def test_a_full_house_says_when_to_come_back():
    async with Edge(limits=ServerLimits(connections=1)) as edge, edge.connect() as viewer:
        await viewer.recv()
        async with Stream(edge) as stream:
            assert stream.head.startswith("HTTP/1.1 503 ")
            assert "Retry-After: 30" in stream.head


async def test_a_listener_may_leave_it_out():
    async with Edge(door=Door(dialects=frozenset({"native"}))) as edge, Stream(edge) as stream:
        assert stream.head.startswith("HTTP/1.1 404 ")


async def test_drain_says_goodbye_and_ends_the_answer():
    async with Edge() as edge, Stream(edge) as stream:
        await stream.next("replayed")
        drained = asyncio.create_task(edge.server.drain(1.0))
        closing = await stream.next("closing")
        assert closing["retry_after"] > 0
        assert await stream.rest() == b""
        await drained


async def test_a_stream_that_is_ended_says_why():
    async with Edge() as edge, Stream(edge) as stream:
        await stream.next("replayed")
        [connection] = edge.server.connections.values()
        connection.finish(4401, "your credential has expired")
        told = await stream.next("error")
        assert (told["id"], told["code"], told["message"]) == (None, "not-authenticated", "your credential has expired")
        assert await stream.rest() == b""


async def test_a_reader_that_stops_loses_by_the_policy_and_is_told():
    async with (
        Edge(bounds=Bounds(soft=8 * 1024, hard=64 * 1024)) as edge,
        Stream(edge, "?topic=%23&replay=none") as stream,
    ):
        await stream.next("welcome")
        for number in range(4000):
            edge.publish("t", '"' + f"{number:04}" * 500 + '"')
            if number % 50 == 0:
                await asyncio.sleep(0)
        gap = await stream.next("gap")
        assert gap["reason"] == "slow-consumer"
        assert gap["count"] >= 1
        while (await stream.next("message"))["offset"] != 4000:
            pass


async def test_whatever_the_client_says_later_is_nothing_to_it():
    async with Edge() as edge, Stream(edge, "?topic=t&replay=none") as stream:
        await stream.next("welcome")
        stream._writer.write(b"GET /api/topics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.05)
        edge.publish("t", "1")
        assert (await stream.next())["data"] == 1
