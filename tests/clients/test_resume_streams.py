"""Clients of other dialects that are cut off and come back in their dialect's own way, from the real gateway.

STOMP names the offset of its last MESSAGE, Socket.IO's recovery the last argument of its last event; both get all that
they missed, once, or a gap. MQTT has no word for it: it comes back to the newest value of every topic.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

CUTS = 10
TOPICS = 5
RATE = 800.0
MESSAGE = re.compile(rb"MESSAGE\n.*?\nsubscription:(\w+)\n.*?\nepoch:(\w+)\n.*?offset:(\d+)\n.*?\n\n(.*)\0", re.DOTALL)


class Stream:
    """Publishes 0, 1, … over TOPICS; `sent` is how many so far."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.sent = 0

    def next(self, _: int) -> tuple[str, int]:
        self.sent += 1
        return f"t/{(self.sent - 1) % TOPICS}", self.sent - 1

    def flows(self) -> Any:
        return self.publisher.rhythm(RATE, self.next)


@pytest.fixture
def stream(mosquitto: Mosquitto) -> Iterator[Stream]:
    with Publisher(mosquitto.port) as publisher:
        yield Stream(publisher)


@pytest.fixture
def house(mosquitto: Mosquitto, gateway: Callable[[str], Daemon]) -> Callable[[str], Daemon]:
    def make(more: str = "") -> Daemon:
        daemon = gateway(f'[[upstream]]\nurls = ["{mosquitto.url}"]\n{more}')
        daemon.await_broker()
        return daemon

    return make


class Follower:
    """A client that comes again after every cut. `numbers` are those that it got, connection by connection."""

    token: str | None = None
    path = "/stream"

    def __init__(self) -> None:
        self.numbers: list[list[int]] = []
        self.gaps: list[dict[str, Any]] = []

    async def hello(self, client: ClientConnection) -> None:
        """Say what a new connection begins with, and subscribe again."""
        raise NotImplementedError  # each dialect has its own

    async def take(self, client: ClientConnection, frame: str | bytes) -> None:
        """Hear one frame."""
        raise NotImplementedError  # as here

    @property
    def newest(self) -> int:
        return max((number for numbers in self.numbers for number in numbers), default=-1)

    async def run(self, daemon: Daemon) -> None:
        """Follow until cut off."""
        url = daemon.url.replace("/stream", self.path)
        subprotocols = [self.token] if self.token is not None else None
        async with connect(url, subprotocols=subprotocols, compression=None, proxy=None) as client:  # type: ignore[arg-type]
            self.numbers.append([])
            try:
                await self.hello(client)
                async for frame in client:
                    await self.take(client, frame)
            except ConnectionClosed:
                pass
            finally:
                client.transport.abort()

    @asynccontextmanager
    async def here(self, daemon: Daemon) -> AsyncIterator[None]:
        """Follow while the block lasts; then the connection is cut without a goodbye."""
        following = asyncio.create_task(self.run(daemon))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - what it waits for is in another process
                await asyncio.sleep(0.01)


class Stomp(Follower):
    """Goes on after the offset of its last MESSAGE, named in one header or in two."""

    token = "v12.stomp"

    def __init__(self, *, word: bool, ack: str = "auto") -> None:
        super().__init__()
        self.word, self.ack = word, ack
        self.after: tuple[str, int] | None = None

    async def hello(self, client: ClientConnection) -> None:
        headers = [f"ack:{self.ack}"]
        if self.after is None:
            headers.append("replay:none")
        elif self.word:
            headers.append(f"replay:{self.after[0]}\\c{self.after[1]}")
        else:
            headers += [f"epoch:{self.after[0]}", f"offset:{self.after[1]}"]
        await client.send("CONNECT\naccept-version:1.2\n\n\0")
        await client.send("SUBSCRIBE\nid:e\ndestination:/gateway/events\n\n\0")
        await client.send("\n".join(["SUBSCRIBE", "id:s", "destination:/topic/t.#", *headers, "", "\0"]))

    async def take(self, client: ClientConnection, frame: str | bytes) -> None:
        data = frame.encode() if isinstance(frame, str) else frame
        if b"\ndestination:/gateway/events\n" in data:
            told = json.loads(data[data.index(b"\n\n") : -1])
            if told["type"] == "gap":
                self.gaps.append(told)
        elif found := MESSAGE.fullmatch(data):
            self.after = found[2].decode(), int(found[3])
            self.numbers[-1].append(int(found[4]))
            if self.ack != "auto":
                await client.send(f"ACK\nid:s@{int(found[3])}\n\n\0")


class SocketIo(Follower):
    """Comes back as socket.io-client does: with its private id, and the last argument of its last event."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def __init__(self) -> None:
        super().__init__()
        self.pid: str | None = None
        self.offset: str | None = None
        self.recovered: list[bool] = []
        self.marked: list[int] = []  # the newest number that had its mark, as each connection began
        self._marked = -1

    async def hello(self, client: ClientConnection) -> None:
        self.marked.append(self._marked)
        await client.send("40" if self.pid is None else "40" + json.dumps({"pid": self.pid, "offset": self.offset}))

    async def take(self, client: ClientConnection, frame: str | bytes) -> None:
        assert isinstance(frame, str)
        if frame.startswith("40"):
            pid = json.loads(frame[2:])["pid"]
            self.recovered.append(pid == self.pid)
            if pid != self.pid:
                self.pid, self.offset = pid, None
                await client.send('42["subscribe",{"topics":["t/#"],"replay":"none"}]')
        elif frame.startswith("42["):
            name, told, *rest = json.loads(frame[2:])
            if name == "message":
                self.numbers[-1].append(told["data"])
            elif name == "gap":
                self.gaps.append(told)
            if rest:
                self.offset = rest[-1]
                self._marked = self.newest


class Mqtt(Follower):
    """Begins with the retained messages each time; `retained` are those, connection by connection."""

    token = "mqtt"

    def __init__(self, qos: int) -> None:
        super().__init__()
        self.qos = qos
        self.retained: list[dict[str, int]] = []

    @property
    def newest(self) -> int:
        return max([super().newest, *(number for each in self.retained for number in each.values())])

    async def hello(self, client: ClientConnection) -> None:
        self.retained.append({})
        await client.send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
        await client.send(b"\x82\x08\x00\x01\x00\x03t/#" + bytes([self.qos]))

    async def take(self, client: ClientConnection, frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        if frame[0] & 0xF0 != 0x30:
            return
        topic, rest = frame[4:7].decode(), frame[7:]
        if frame[0] & 0x06:
            await client.send(b"\x40\x02" + rest[:2])
            rest = rest[2:]
        if frame[0] & 1:
            self.retained[-1][topic] = int(rest)
        else:
            self.numbers[-1].append(int(rest))


async def cut_again_and_again(follower: Follower, daemon: Daemon, stream: Stream) -> None:
    """CUTS times at moments of chance, some of them in the middle of what was missed; then to the end of the stream."""
    chance = random.Random(29)
    with stream.flows():
        for _ in range(CUTS):
            before = follower.newest
            async with follower.here(daemon):
                await follower.until(lambda before=before: follower.newest > before)
                await asyncio.sleep(chance.uniform(0, 0.15))
            await asyncio.sleep(chance.uniform(0, 0.15))
    async with follower.here(daemon):
        await follower.until(lambda: follower.newest == stream.sent - 1)


@pytest.mark.parametrize("ack", ["auto", "client-individual"])
@pytest.mark.parametrize("word", [True, False], ids=["replay", "epoch and offset"])
async def test_stomp_goes_on_after_its_last_message(house, stream, word, ack):
    follower = Stomp(word=word, ack=ack)
    await cut_again_and_again(follower, house(), stream)
    got = [number for numbers in follower.numbers for number in numbers]
    assert got == list(range(got[0], stream.sent))
    assert follower.gaps == []


async def test_socketio_is_recovered_from_its_last_mark(house, stream):
    follower = SocketIo()
    await cut_again_and_again(follower, house(), stream)
    assert follower.recovered == [False] + [True] * CUTS
    for numbers, marked in list(zip(follower.numbers, follower.marked, strict=True))[1:]:
        assert numbers == list(range(marked + 1, marked + 1 + len(numbers)))
    assert follower.gaps == []


@pytest.mark.parametrize("qos", [0, 1])
async def test_mqtt_comes_back_to_the_newest_value_of_every_topic(house, stream, qos):
    follower = Mqtt(qos)
    await cut_again_and_again(follower, house(), stream)
    newest = -1
    for retained, numbers in list(zip(follower.retained, follower.numbers, strict=True))[1:]:
        values = set(retained.values())
        if not numbers:
            continue  # cut before the stream went on
        assert numbers[0] > newest
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        # The last of each topic, but for those that spoke while they were looked for: their newest comes live.
        assert values <= set(range(numbers[0] - TOPICS, numbers[0]))
        if len(numbers) >= TOPICS:
            assert len({number % TOPICS for number in (*values, *numbers)}) == TOPICS
        newest = numbers[-1]
    assert set(follower.retained[-1].values()) == set(range(stream.sent - TOPICS, stream.sent))


async def restarted(follower: Follower, daemon: Daemon, stream: Stream) -> int:
    """Let it follow over a restart of the gateway, during which the stream stands still; how far it was then."""
    with stream.flows():
        async with follower.here(daemon):
            await follower.until(lambda: follower.newest > 100)
    async with follower.here(daemon):
        await follower.until(lambda: follower.newest == stream.sent - 1)
    with stream.flows():
        await asyncio.sleep(0.2)
    missed = stream.sent
    stream.publisher.publish("other", 1)
    await all_in(daemon, missed + 1)
    await asyncio.to_thread(daemon.stop)
    await asyncio.to_thread(daemon.start)
    await asyncio.to_thread(daemon.await_broker)
    with stream.flows():
        async with follower.here(daemon):
            await follower.until(lambda: follower.newest > missed + 100)
    async with follower.here(daemon):
        await follower.until(lambda: follower.newest == stream.sent - 1)
    return missed


async def all_in(daemon: Daemon, count: int) -> None:
    """Wait until the gateway has so many messages."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with connect(daemon.url, compression=None, proxy=None) as client:
                    if json.loads(await client.recv())["offset"] >= count:
                        return
            except (OSError, InvalidHandshake):
                pass
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("qos", [0, 1])
async def test_stomp_goes_on_over_a_restart_where_the_history_is_on_disk(house, stream, qos):
    follower = Stomp(word=True)
    kept = f'topics = [{{filter = "#", qos = {qos}}}]\n[history]\ndisk = "history"\n'
    missed = await restarted(follower, house(kept), stream)
    got = [number for numbers in follower.numbers for number in numbers]
    assert got == list(range(got[0], stream.sent))
    # At QoS 0 no broker keeps what comes while there is no gateway, and nobody can say that nothing came.
    assert [(gap["reason"], gap["count"]) for gap in follower.gaps] == [("upstream", None)] * (qos == 0)
    assert all(gap["to"] >= missed for gap in follower.gaps)


async def test_stomp_hears_of_a_gap_after_a_restart_without_a_disk_and_misses_nothing_from_then_on(house, stream):
    follower = Stomp(word=True)
    missed = await restarted(follower, house(), stream)
    [gap] = follower.gaps
    assert (gap["reason"], gap["count"]) == ("restart", None)
    last = [number for numbers in follower.numbers for number in numbers if number >= missed]
    assert last == list(range(last[0], stream.sent))


async def test_socketio_begins_anew_after_a_restart(house, stream):
    follower = SocketIo()
    missed = await restarted(follower, house(), stream)
    assert (follower.recovered[0], follower.recovered.count(False)) == (False, 2)
    last = [number for numbers in follower.numbers for number in numbers if number >= missed]
    assert last == list(range(last[0], stream.sent))
