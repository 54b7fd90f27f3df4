"""A broker that misbehaves on purpose: every answer can be changed, delayed or left out by the test."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from support import mqttpackets as packets


class Peer:
    """One client of the fake broker."""

    def __init__(self, broker: "FakeBroker", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.broker = broker
        self.connect: packets.Connect | None = None
        self.filters: list[tuple[str, int]] = []
        self.acknowledged: list[int] = []
        self.published: list[packets.Published] = []
        self.pings = 0
        self.said_goodbye = False
        self._reader = reader
        self._writer = writer

    @property
    def version(self) -> int:
        assert self.connect is not None
        return self.connect.version

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def accept(self, *, session_present: bool = False, properties: bytes = b"") -> None:
        """Send a CONNACK that accepts."""
        self.send(packets.connack(session_present=session_present, version=self.version, properties=properties))

    def grant(self, mid: int, codes: list[int]) -> None:
        """Send a SUBACK."""
        self.send(packets.suback(mid, codes, version=self.version))

    def publish(self, topic: str | bytes, payload: bytes = b"", **options: object) -> None:
        """Send a PUBLISH in the client's version."""
        if self.version == 5:
            options.setdefault("properties", b"")
        self.send(packets.publish(topic, payload, **options))  # type: ignore[arg-type]

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def run(self) -> None:
        while True:
            head = (await self._reader.readexactly(1))[0]
            size = shift = 0
            while True:
                byte = (await self._reader.readexactly(1))[0]
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            await self._handle(head, await self._reader.readexactly(size))
            self.broker.changed()

    async def _handle(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == 1:
            self.connect = packets.read_connect(body)
            await self.broker.on_connect(self)
        elif kind == 8:
            mid, filters = packets.read_subscribe(body, self.version)
            self.filters += filters
            await self.broker.on_subscribe(self, mid, filters)
        elif kind == 3:
            published = packets.read_publish(head, body, self.version)
            self.published.append(published)
            await self.broker.on_publish(self, published)
        elif kind == 4:
            # Several acknowledgements may be told apart by their number only.
            self.acknowledged.append(int.from_bytes(body[:2], "big"))
        elif kind == 12:
            self.pings += 1
            if self.broker.answers_pings:
                self.send(b"\xd0\x00")
        elif kind == 14:
            self.said_goodbye = True


async def resume(peer: Peer) -> None:
    """Keep a session: the first connection begins it, the others find it."""
    peer.accept(session_present=len(peer.broker.peers) > 1)


OnConnect = Callable[[Peer], Awaitable[None]]
OnSubscribe = Callable[[Peer, int, list[tuple[str, int]]], Awaitable[None]]
OnPublish = Callable[[Peer, packets.Published], Awaitable[None]]


async def accept(peer: Peer) -> None:
    peer.accept()


async def ignore(*_: object) -> None:
    """Answer nothing."""


async def grant(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
    peer.grant(mid, [options & 3 for _, options in filters])


async def acknowledge(peer: Peer, published: packets.Published) -> None:
    if published.qos == 1:
        peer.send(b"\x40\x02" + published.mid.to_bytes(2, "big"))


class FakeBroker:
    """An async context manager on a free port of 127.0.0.1; `peers` are all clients so far, the newest last."""

    def __init__(
        self,
        *,
        port: int = 0,
        on_connect: OnConnect = accept,
        on_subscribe: OnSubscribe = grant,
        on_publish: OnPublish = acknowledge,
        tls: ssl.SSLContext | None = None,
        unix: str | None = None,
    ) -> None:
        self.on_connect = on_connect
        self.on_subscribe = on_subscribe
        self.on_publish = on_publish
        self.answers_pings = True
        self.greeting: bytes | None = None
        self.peers: list[Peer] = []
        self._port = port
        self._tls = tls
        self._unix = unix
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        if self._unix:
            return f"unix://{self._unix}"
        return f"mqtts://localhost:{self.port}" if self._tls else f"mqtt://127.0.0.1:{self.port}"

    @property
    def peer(self) -> Peer:
        """The newest client."""
        return self.peers[-1]

    def changed(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], object], limit: float = 10.0) -> None:
        """Wait until `condition` holds; looked at whenever a packet came."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> Self:
        if self._unix:
            self._server = await asyncio.start_unix_server(self._serve, self._unix)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for peer in self.peers:
            peer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(self, reader, writer)
        self.peers.append(peer)
        self.changed()
        try:
            if self.greeting is not None:
                peer.send(self.greeting)
            await peer.run()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test ends: asyncio would report the cancellation as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            self.changed()
