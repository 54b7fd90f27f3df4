"""The real edge in the test's own process: server, sessions and hub over real sockets, fed by the test."""

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from gateway.edge.admission import ServerLimits
from gateway.edge.credentials import Judge
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.registry import Setting, factories
from gateway.edge.doors import Door
from gateway.edge.endpoints import Endpoint
from gateway.edge.flood import Flood
from gateway.edge.frames import Desk
from gateway.edge.front import Front
from gateway.edge.origin import parse_rule
from gateway.edge.roles import VIEWER, Role
from gateway.edge.room import Room, SessionLimits
from gateway.edge.server import Server
from gateway.edge.static import Asset
from gateway.edge.tls import Tls
from gateway.edge.visits import Access
from gateway.edge.volley import Volley
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds
from gateway.hub.ports import CONNECTED, UpstreamState

PAGE = Asset("/", b"<!doctype html><title>page</title>", "text/html; charset=utf-8", (), None, '"1"')


class Upstreams:
    """One link that is always up."""

    def states(self) -> Sequence[UpstreamState]:
        return [UpstreamState("test", CONNECTED, 1.0)]


class Edge:
    """A server on a free port of 127.0.0.1; `publish` is the broker."""

    def __init__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        tls: Tls | None = None,
        door: Door | None = None,
        judge: dict[str, Any] | None = None,
        flood: Flood | None = None,
        limits: ServerLimits | None = None,
        session: SessionLimits | None = None,
        bounds: Bounds | None = None,
        origins: Sequence[str] = (),
        missing: str = "allow",
        anonymous: str = "viewer",
        roles: Sequence[Role] = (VIEWER,),
        dialects: dict[str, Callable[[], Dialect]] | None = None,
        history: int = 1 << 24,
        age: float = 600.0,
        **room: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        limits = limits or ServerLimits()
        self.volley = Volley(limits.connections)
        self.hub = Hub(
            schedule=loop.call_soon,
            clock=time.monotonic,
            later=loop.call_later,
            period=limits.interval,
            volley=self.volley,
        )
        self.log = MemoryLog(self.hub.take, epoch="e1", limit=history, age=age, clock=time.monotonic)
        self.upstreams = Upstreams()
        self.room = Room(
            hub=self.hub,
            log=self.log,
            name="test",
            build="0",
            heartbeat=limits.interval,
            limits=session or SessionLimits(message_size=limits.message_size),
            clock=time.monotonic,
            wall=time.time,
            desk=Desk(loop.call_soon, time.monotonic),
            upstreams=self.upstreams,
            **room,
        )
        self.front = Front(
            access=Access([parse_rule(o) for o in origins], missing, anonymous),
            judge=Judge(roles={r.name: r for r in roles}, clock=time.monotonic, wall=time.time, **(judge or {})),
            assets={"/": PAGE},
            dialects=dialects or factories(Setting(limits.message_size, lambda: secrets.token_hex(8))),
            upstreams=self.upstreams,
        )
        self.server = Server(
            loop=loop,
            front=self.front,
            room=self.room,
            limits=limits,
            bounds=bounds or Bounds(),
            flood=flood,
            volley=self.volley,
        )
        self.context = context
        self.tls = tls or (Tls(context) if context is not None else None)
        self.door = door or Door()

    async def __aenter__(self) -> "Edge":
        [address] = self.server.listen([Endpoint("127.0.0.1", 0, self.tls, door=self.door)])
        self.port = int(address.rpartition(":")[2])
        self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await asyncio.sleep(0)
        self.volley.close()

    def publish(self, topic: str, payload: bytes | str = b"1", *, retained: bool = False, size: int = 0) -> int:
        """One message from the broker; its offset."""
        body = payload.encode() if isinstance(payload, str) else payload
        stamp = None if retained else time.time()
        self.log.append([Message(topic, body, stamp, "test", retained, size)])
        return self.log.newest

    def url(self, query: str = "", path: str = "/stream") -> str:
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://localhost:{self.port}{path}{query}"

    def connect(self, query: str = "", *, path: str = "/stream", **options: Any) -> connect:
        """A real client; `async with` it."""
        return connect(self.url(query, path), compression=None, proxy=None, **options)

    async def raw(self, request: bytes, *, until: bytes | None = None) -> bytes:
        """Send bytes over a plain socket; what comes back until the server ends (or `until` came)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = b""
        async with asyncio.timeout(10):
            while (until is None or until not in answer) and (data := await reader.read(65536)):
                answer += data
        writer.close()
        await writer.wait_closed()
        return answer


async def receive(client: ClientConnection, kind: str | None = None, seconds: float = 5.0) -> dict[str, Any]:
    """The next object, or the next of a kind."""
    while True:
        told: dict[str, Any] = msgspec.json.decode(await asyncio.wait_for(client.recv(), seconds))
        if kind is None or told["type"] == kind:
            return told


async def say(client: ClientConnection, **fields: Any) -> None:
    """Send one command."""
    await client.send(msgspec.json.encode(fields).decode())
