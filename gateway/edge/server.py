"""The listeners and the clients on them: accept, admit, watch over, say goodbye."""

import asyncio
import errno
import ipaddress
import itertools
import logging
import os
import random
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial

import msgspec
from websockets.http11 import Request

from gateway.edge.connection import Connection, State
from gateway.edge.events import Gap
from gateway.edge.front import Front, Peer, Upgrade
from gateway.edge.http import Reply
from gateway.edge.session import Room, Session
from gateway.errors import FULL, RESTART, STOPPING, GatewayError
from gateway.hub.heartbeat import Heartbeat
from gateway.hub.outbox import Bounds
from gateway.hub.ports import UpstreamState

log = logging.getLogger("gateway.edge")

BACKLOG = 4096
SEND_BUFFER = 128 * 1024  # the kernel doubles it; a stuck client then holds 0.3 MiB instead of 3 to 4
ACCEPTS = 32  # connections taken in a wake-up
TICK = 1.0
STRIDE = 250  # connections looked after before the loop has its turn
SPARE = 64  # connections above the limit that still get a handshake, to be told 1013
FULL_DISK_OF_FDS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


class Endpoint(msgspec.Struct, frozen=True):
    """Where to listen. `address` is an IP address, "" for every one, or "unix:PATH"."""

    address: str
    port: int
    context: ssl.SSLContext | None = None
    reuse_port: bool = False

    def __str__(self) -> str:
        if self.address.startswith("unix:"):
            return self.address
        host = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{'https' if self.context else 'http'}://{host}:{self.port}"


class ServerLimits(msgspec.Struct, frozen=True):
    """Limits of all connections together; `handshake`, `interval` and `timeout` in seconds, `message_size` in bytes."""

    connections: int = 1000
    per_address: int = 100
    handshake: float = 10.0
    message_size: int = 64 * 1024
    interval: float = 20.0
    timeout: float = 10.0


class Server:
    """Holds listeners and connections; a Host for its connections."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        front: Front,
        room: Room,
        limits: ServerLimits,
        bounds: Bounds,
    ) -> None:
        self.loop = loop
        self.front = front
        self.room = room
        self.limits = limits
        self.bounds = bounds
        self.clock: Callable[[], float] = room.clock
        self.connections: dict[int, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.accepted = 0
        self.rejected_origins = 0
        self._addresses: Counter[str] = Counter()
        self._keys = itertools.count(1)
        self._sockets: list[tuple[socket.socket, Endpoint]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._paused_until = 0.0
        self._draining = False
        self._emptied = asyncio.Event()

    def listen(self, endpoints: list[Endpoint]) -> list[str]:
        """Open every endpoint; return their addresses. Raises GatewayError where one cannot be, none is open then."""
        opened: list[tuple[socket.socket, Endpoint]] = []
        for endpoint in endpoints:
            try:
                opened.append((self._open(endpoint), endpoint))
            except OSError as error:
                for sock, _ in opened:
                    sock.close()
                raise GatewayError(f"cannot listen on {endpoint}: {error.strerror or error}") from None
        self._sockets = opened
        addresses = []
        for sock, endpoint in opened:
            if sock.family != socket.AF_UNIX:
                endpoint = msgspec.structs.replace(endpoint, port=sock.getsockname()[1])
            addresses.append(str(endpoint))
        return addresses

    def start(self) -> None:
        """Begin to accept."""
        for sock, endpoint in self._sockets:
            self.loop.add_reader(sock.fileno(), partial(self._accept, sock, endpoint))
        self._ticker = self.loop.create_task(self._tick(), name="edge-ticker")

    async def drain(self, seconds: float, *, restart: bool = False) -> None:
        """Say goodbye to every client, spread over `seconds`, each served until its own; then close the listeners."""
        self.front.draining = True
        self._draining = True
        if restart:
            self._stop_listening()
        spread = min(seconds, 0.3) if restart else seconds * 0.9
        code = RESTART if restart else STOPPING
        start = self.clock()
        waiting = [c for c in self.connections.values() if c.state is State.OPEN and c.session is not None]
        random.shuffle(waiting)
        for number, connection in enumerate(waiting):
            pause = start + spread * number / max(1, len(waiting)) - self.clock()
            if pause > 0:
                await asyncio.sleep(pause)
            self._goodbye(connection, code.code, code.meaning, restart=restart)
        if self.connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), max(0.0, start + seconds - self.clock()))
            except TimeoutError:
                pass  # whoever has not closed by now is aborted
        self._stop_listening()

    def close(self) -> None:
        """End everything at once."""
        self._stop_listening()
        if self._ticker is not None:
            self._ticker.cancel()
        for connection in list(self.connections.values()):
            connection.abort("gateway stops")

    def upstream_changed(self, state: UpstreamState) -> None:
        """Tell every client about a link to a broker."""
        for connection in list(self.connections.values()):
            if connection.session is not None:
                connection.session.upstream_changed(state)

    def upstream_gap(self, name: str) -> None:
        """Tell every client that messages were lost upstream, nobody can know how many."""
        newest = self.room.log.newest
        gap = Gap(from_=newest + 1, to=newest, count=None, topics={}, reason="upstream")
        for connection in list(self.connections.values()):
            if connection.session is not None:
                connection.session.tell(gap)

    # What a connection asks of its host.

    def requested(self, connection: Connection, request: Request) -> None:
        peer = Peer(connection.peer, _is_loopback(connection.peer), connection.secure)
        verdict = self.front.judge(request, peer)
        if isinstance(verdict, Reply):
            if verdict.status == 403:
                self.rejected_origins += 1
                self.count("origin")
            connection.reply(verdict, head=request.method == "HEAD")
            return
        headers = [("Sec-WebSocket-Protocol", verdict.subprotocol)] if verdict.subprotocol else []
        if connection.upgrade(request, headers):
            self._welcome(connection, verdict)

    def forget(self, connection: Connection) -> None:
        if self.connections.pop(connection.key, None) is not None:
            self._addresses[connection.peer] -= 1
            if self._addresses[connection.peer] <= 0:
                del self._addresses[connection.peer]
            if self._draining and not self.connections:
                self._emptied.set()

    def count(self, reason: str) -> None:
        self.counts[reason] += 1

    # Coming in.

    def _open(self, endpoint: Endpoint) -> socket.socket:
        if endpoint.address.startswith("unix:"):
            path = endpoint.address.removeprefix("unix:")
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            sock.bind(path)
        else:
            family = socket.AF_INET6 if ":" in endpoint.address or not endpoint.address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if endpoint.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if endpoint.address else 0)
            # Accepted sockets inherit these.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            unanswered = int((self.limits.interval + self.limits.timeout) * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, unanswered)
            try:
                sock.bind((endpoint.address, endpoint.port))
            except OSError:
                sock.close()
                raise
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setblocking(False)
        sock.listen(BACKLOG)
        return sock

    def _accept(self, listener: socket.socket, endpoint: Endpoint) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in FULL_DISK_OF_FDS:
                    raise
                self._pause(listener, endpoint, error)
                return
            self.accepted += 1
            peer = str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else "unix"
            if len(self.connections) >= self.limits.connections + SPARE:
                self.count("connections")
                sock.close()
                continue
            self._admit(sock, peer, endpoint)

    def _admit(self, sock: socket.socket, peer: str, endpoint: Endpoint) -> None:
        key = next(self._keys)
        heartbeat = Heartbeat(self.limits.interval, self.limits.timeout, self.clock())
        try:
            connection = Connection(
                sock,
                host=self,
                key=key,
                peer=peer,
                context=endpoint.context,
                message_size=self.limits.message_size,
                heartbeat=heartbeat,
            )
        except OSError:
            sock.close()  # gone between accept and here
            return
        self.connections[key] = connection
        self._addresses[peer] += 1

    def _pause(self, listener: socket.socket, endpoint: Endpoint, error: OSError) -> None:
        """Out of file descriptors: clients live on, accepting waits a moment."""
        self.count("file-descriptors")
        if self.clock() > self._paused_until + 60:
            log.warning("cannot accept: %s; %d clients live on, new ones wait", error.strerror, len(self.connections))
        self._paused_until = self.clock()
        self.loop.remove_reader(listener.fileno())
        self.loop.call_later(1.0, self._resume, listener, endpoint)

    def _resume(self, listener: socket.socket, endpoint: Endpoint) -> None:
        if listener.fileno() >= 0:
            self.loop.add_reader(listener.fileno(), partial(self._accept, listener, endpoint))

    def _welcome(self, connection: Connection, verdict: Upgrade) -> None:
        if verdict.close is not None:
            self.count(f"closed-{verdict.close.code}")
            connection.finish(verdict.close.code, verdict.close.reason)
            return
        if len(self.connections) > self.limits.connections:
            self.count("connections")
            connection.finish(FULL.code, f"{FULL.meaning}: {self.limits.connections} connections")
            return
        if self._addresses[connection.peer] > self.limits.per_address and connection.peer != "unix":
            self.count("connections-per-address")
            connection.finish(FULL.code, f"{self.limits.per_address} connections from your address are the limit")
            return
        session = Session(
            id=secrets.token_hex(8),
            wire=connection,
            dialect=verdict.dialect,
            room=self.room,
            role=verdict.role,
            bare=verdict.subscribe is not None and not verdict.status,
        )
        connection.session = session
        connection.start(verdict.subscribe)
        if self._draining:
            self._goodbye(connection, STOPPING.code, STOPPING.meaning, restart=False)

    # Watching over, and going.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self.clock()
            for number, connection in enumerate(list(self.connections.values())):
                connection.tick(now, self.limits.handshake)
                if number % STRIDE == STRIDE - 1:
                    await asyncio.sleep(0)

    def _goodbye(self, connection: Connection, code: int, meaning: str, *, restart: bool) -> None:
        if connection.session is None or connection.state is not State.OPEN:
            return
        retry_after = random.uniform(0.2, 1.0) if restart else random.uniform(1.0, 10.0)
        connection.session.closing(meaning, retry_after)
        connection.finish(code, meaning)

    def _stop_listening(self) -> None:
        for sock, endpoint in self._sockets:
            if sock.fileno() >= 0:
                self.loop.remove_reader(sock.fileno())
                sock.close()
                if endpoint.address.startswith("unix:"):
                    try:
                        os.unlink(endpoint.address.removeprefix("unix:"))
                    except FileNotFoundError:
                        pass
        self._sockets = []


def _is_loopback(peer: str) -> bool:
    if peer == "unix":
        return True
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
