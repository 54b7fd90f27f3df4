"""The clients: admitted, judged, looked after, told goodbye."""

import asyncio
import ipaddress
import itertools
import logging
import random
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from websockets.http11 import Request

from devices.reading import DeviceState
from gateway.edge import events
from gateway.edge.api import resources
from gateway.edge.audit import audit
from gateway.edge.connection import Connection, Flood, State
from gateway.edge.credentials import Identity, Judge, Refusal
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.sse import Sse
from gateway.edge.doors import Door
from gateway.edge.forwarded import is_trusted
from gateway.edge.front import Access, Events, Front, Peer, Upgrade
from gateway.edge.http import Reply, event_stream_head
from gateway.edge.listeners import Endpoint, Listeners
from gateway.edge.proxy_protocol import Source
from gateway.edge.session import Room, Session
from gateway.edge.standing import event_of
from gateway.errors import FULL, NOT_AUTHENTICATED, RESTART, STOPPING
from gateway.hub.budget import Budget
from gateway.hub.freshness import Change
from gateway.hub.heartbeat import Heartbeat
from gateway.hub.outbox import Bounds
from gateway.hub.ports import UpstreamState

__all__ = ["Endpoint", "Server", "ServerLimits"]

log = logging.getLogger("gateway.edge")

Key = TypeVar("Key")

TICK = 1.0
STRIDE = 250  # connections looked after before the loop has its turn
SPARE = 64  # connections above the limit that still get a handshake, to be told 1013
SPARE_PER_ADDRESS = 8


class ServerLimits(msgspec.Struct, frozen=True):
    """Limits of all connections together; `handshake`, `interval` and `timeout` in seconds, `message_size` in bytes.

    `accepts` are new connections a second from one address, five times as many in a burst.
    """

    connections: int = 1000
    per_address: int = 100
    per_user: int = 100
    accepts: int = 100
    handshake: float = 10.0
    message_size: int = 64 * 1024
    interval: float = 20.0
    timeout: float = 10.0


class Server:
    """Holds the connections, and is their Host; the owner of its listeners."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        front: Front,
        room: Room,
        limits: ServerLimits,
        bounds: Bounds,
        budget: Budget | None = None,
        flood: Flood | None = None,
        sse: Dialect | None = None,
    ) -> None:
        self.loop = loop
        self.front = front
        self.room = room
        self.limits = limits
        self.bounds = bounds
        self.budget = budget or Budget()
        self.flood = flood or Flood()
        self.clock: Callable[[], float] = room.clock
        self.connections: dict[int, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.accepted = 0
        self._gone_lost = 0
        self.started = room.wall()
        self.listeners = Listeners(
            self,
            loop=loop,
            clock=room.clock,
            unanswered=limits.interval + limits.timeout,
            handshake=limits.handshake,
            accepts=limits.accepts,
        )
        self._addresses: Counter[str] = Counter()
        self._users: Counter[tuple[str, str]] = Counter()
        self._sse = sse or Sse(room.log.epoch)
        self._keys = itertools.count(1)
        self._ticker: asyncio.Task[None] | None = None
        self._draining = False
        self._emptied = asyncio.Event()
        room.authenticate = self.sign_in
        room.auth_methods = front.credentials.by_message
        front.resources.update(resources(self))

    @property
    def rejected_origins(self) -> int:
        """How many requests were refused for their origin."""
        return self.front.rejections.total

    @property
    def lost(self) -> int:
        """Messages that were dropped or merged for clients that were behind, ever."""
        return self._gone_lost + sum(connection.lost for connection in self.connections.values())

    def listen(self, endpoints: list[Endpoint], inherited: Sequence[tuple[str, socket.socket]] = ()) -> list[str]:
        """Open every endpoint; return their addresses. Raises GatewayError where one cannot be, none is open then."""
        return self.listeners.open(endpoints, inherited)

    def start(self) -> None:
        """Begin to accept."""
        self.listeners.start()
        self._ticker = self.loop.create_task(self._tick(), name="edge-ticker")

    async def drain(self, seconds: float, *, restart: bool = False) -> None:
        """Say goodbye to every client, spread over `seconds`, each served until its own; then close the listeners."""
        self.front.draining = True
        self._draining = True
        if restart:
            self.listeners.stop()
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
        self.listeners.stop()

    def close(self) -> None:
        """End everything at once."""
        self.listeners.stop()
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
        gap = events.Gap(from_=newest + 1, to=newest, count=None, topics={}, reason="upstream")
        for connection in list(self.connections.values()):
            if connection.session is not None:
                connection.session.tell(gap)

    def device_changed(self, topic: str, state: DeviceState) -> None:
        """Tell those who follow `topic` that its device came or went."""
        said = events.Device(device=state.device, state="online" if state.online else "offline", since=self.room.wall())
        self.room.standing.device(topic, said)
        for connection in list(self.connections.values()):
            session = connection.session
            if session is not None and session.follows(topic):
                session.tell(said)

    def freshness_changed(self, change: Change) -> None:
        """Tell those who get the messages of a topic that it went silent, or speaks again."""
        said = event_of(change)
        for viewer in self.room.hub.followers(change.topic):
            session = getattr(viewer, "session", None)
            if session is not None and session.follows(change.topic):
                session.tell(said)

    # What the rules say now.

    def apply(self, access: Access, judge: Judge, endpoints: list[Endpoint]) -> None:
        """Go by these rules from now on, live sessions too; listeners that stay keep their sockets."""
        judge.failures = self.front.credentials.failures  # a reload forgives nobody
        self.front.access, self.front.credentials = access, judge
        audit("reload", "ok")
        self.room.auth_methods = judge.by_message
        doors = self.listeners.replace(endpoints)
        for connection in self.connections.values():
            connection.door = doors.get(id(connection.door), connection.door)
        self.review()

    def speak(self, dialects: Mapping[str, Callable[[], Dialect]], sse: Dialect) -> None:
        """Speak these dialects with whoever comes from now on."""
        self.front.speak(dialects)
        self._sse = sse

    def adopt(self, limits: ServerLimits, bounds: Bounds) -> None:
        """Go by these limits from now on, live connections too; nobody is disconnected for it."""
        self.limits, self.bounds = limits, bounds
        self.listeners.pace(
            unanswered=limits.interval + limits.timeout, handshake=limits.handshake, accepts=limits.accepts
        )
        for connection in self.connections.values():
            connection.adopt(bounds, interval=limits.interval, timeout=limits.timeout)

    def review(self) -> None:
        """Look at every live session again: its token may be revoked, its role another one."""
        for connection in list(self.connections.values()):
            session = connection.session
            if session is None or session.identity is None or connection.state is not State.OPEN:
                continue
            verdict = self.front.still(session.identity, connection.door)
            if isinstance(verdict, Refusal):
                audit("session", "ended", reason=verdict.reason, **_who(connection))
                self.count(f"closed-{NOT_AUTHENTICATED.code}")
                connection.finish(NOT_AUTHENTICATED.code, verdict.reason)
            elif verdict != session.identity:
                audit("role", "changed", to=verdict.role.name, **_who(connection))
                session.become(verdict)

    def sign_in(self, session: Session, token: str) -> Identity | Refusal:
        """Judge the token of an `auth` command, and count the session for whom it names."""
        verdict = self.front.credentials.bearer(token, session.address)
        facts = {"address": session.address, "session": session.id}
        first = isinstance(verdict, Identity) and session.identity is None
        if isinstance(verdict, Identity) and first and self._users[_user(verdict)] >= self.limits.per_user:
            self.count("connections-per-user")
            verdict = Refusal(f"{self.limits.per_user} connections of one user are the limit")
        if isinstance(verdict, Refusal):
            self.count("bad-token")
            audit("sign-in", "refused", **facts, reason=verdict.reason)
            return verdict
        self._book(session.identity, verdict)
        audit("sign-in", "ok", **facts, user=verdict.user, role=verdict.role.name, method=verdict.method)
        return verdict

    def _book(self, before: Identity | None, after: Identity | None) -> None:
        """Count a session for its user (anonymous ones have none)."""
        if before is not None and before.user:
            _less(self._users, _user(before))
        if after is not None and after.user:
            self._users[_user(after)] += 1

    # What a connection asks of its host.

    def requested(self, connection: Connection, request: Request) -> None:
        source, door = connection.source, connection.door
        peer = Peer(
            address=connection.peer,
            loopback=_is_loopback(connection.peer) and source is None,
            secure=connection.secure or (source is not None and source.secure),
            door=door,
            certificate=connection.certificate,
            names=connection.names,
        )
        verdict = self.front.judge(request, peer)
        if isinstance(verdict, Reply):
            if verdict.status >= 400:
                self.count(_REASONS.get(verdict.status, f"http-{verdict.status}"))
            connection.reply(verdict, head=request.method == "HEAD")
            return
        self._readdress(connection, verdict.address)
        if isinstance(verdict, Events):
            self._begin_events(connection, verdict)
            return
        headers = [("Sec-WebSocket-Protocol", verdict.subprotocol)] if verdict.subprotocol else []
        if connection.upgrade(request, headers):
            self._welcome(connection, verdict)

    def forget(self, connection: Connection) -> None:
        if self.connections.pop(connection.key, None) is not None:
            self._gone_lost += connection.lost
            _less(self._addresses, connection.peer)
            session = connection.session
            if session is not None and session.identity is not None and session.identity.user:
                self._book(session.identity, None)
                audit("sign-out", "ok", reason=connection.failure, **_who(connection))
            if self._draining and not self.connections:
                self._emptied.set()

    def count(self, reason: str) -> None:
        self.counts[reason] += 1

    # Coming in.

    def refusal(self, peer: str, door: Door, waiting: int) -> str | None:
        if len(self.connections) + waiting >= self.limits.connections + SPARE:
            return "connections"
        if peer == "unix" or is_trusted(peer, door.proxies):
            return None  # many clients behind one address: each is counted once it is known
        crowded = self._addresses[peer] >= self.limits.per_address + SPARE_PER_ADDRESS
        return "connections-per-address" if crowded else None

    def admit(self, sock: socket.socket, peer: str, endpoint: Endpoint, source: Source | None) -> None:
        self.accepted += 1
        key = next(self._keys)
        heartbeat = Heartbeat(self.limits.interval, self.limits.timeout, self.clock())
        tls = endpoint.tls
        try:
            connection = Connection(
                sock,
                host=self,
                key=key,
                peer=peer,
                context=tls.context if tls is not None else None,
                message_size=self.limits.message_size,
                heartbeat=heartbeat,
                door=endpoint.door,
                names=tls.facts.names if tls is not None and tls.facts is not None else (),
                source=source,
            )
        except OSError:
            sock.close()  # gone between accept and here
            return
        self.connections[key] = connection
        self._addresses[peer] += 1

    def _readdress(self, connection: Connection, address: str) -> None:
        """Count the connection for the client that stands behind the proxy."""
        if address != connection.peer:
            _less(self._addresses, connection.peer)
            connection.peer = address
            self._addresses[address] += 1

    def _no_room(self, connection: Connection, identity: Identity | None) -> tuple[str, str] | None:
        """Which limit a new session would pass: the name of its counter, and in words."""
        limits = self.limits
        if len(self.connections) > limits.connections:
            return "connections", f"{FULL.meaning}: {limits.connections} connections"
        if self._addresses[connection.peer] > limits.per_address and connection.peer != "unix":
            return "connections-per-address", f"{limits.per_address} connections from your address are the limit"
        if identity is not None and identity.user and self._users[_user(identity)] >= limits.per_user:
            return "connections-per-user", f"{limits.per_user} connections of one user are the limit"
        return None

    def _begin_events(self, connection: Connection, verdict: Events) -> None:
        full = self._no_room(connection, verdict.identity)
        if full is None and self._draining:
            full = "draining", STOPPING.meaning
        if full is not None:
            self.count(full[0])
            connection.reply(Reply.refusal(503, full[1], [("Retry-After", "30"), *verdict.headers]))
        elif connection.stream(event_stream_head(verdict.headers)):
            self._begin(connection, self._sse, verdict.identity, bare=not verdict.status)
            connection.start(verdict.subscribe)

    def _welcome(self, connection: Connection, verdict: Upgrade) -> None:
        if verdict.close is not None:
            self.count(f"closed-{verdict.close.code}")
            connection.finish(verdict.close.code, verdict.close.reason)
            return
        full = self._no_room(connection, verdict.identity)
        if full is not None:
            self.count(full[0])
            connection.finish(FULL.code, full[1])
            return
        bare = verdict.subscribe is not None and not verdict.status
        self._begin(connection, verdict.dialect, verdict.identity, bare=bare)
        connection.start(verdict.subscribe)
        if self._draining:
            self._goodbye(connection, STOPPING.code, STOPPING.meaning, restart=False)

    def _begin(self, connection: Connection, dialect: Dialect, identity: Identity | None, *, bare: bool) -> None:
        connection.session = Session(
            id=secrets.token_hex(8),
            wire=connection,
            dialect=dialect,
            room=self.room,
            role=identity.role if identity is not None else None,
            identity=identity,
            address=connection.peer,
            bare=bare,
        )
        self._book(None, identity)
        if identity is not None and identity.user:
            audit("sign-in", "ok", **_who(connection))

    # Watching over, and going.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self.clock()
            for number, connection in enumerate(list(self.connections.values())):
                connection.tick(now, self.limits.handshake)
                if number % STRIDE == STRIDE - 1:
                    await asyncio.sleep(0)
            self.listeners.tick(now)
            self.front.requests.forget(now)
            self.budget.tick()

    def _goodbye(self, connection: Connection, code: int, meaning: str, *, restart: bool) -> None:
        if connection.session is None or connection.state is not State.OPEN:
            return
        retry_after = random.uniform(0.2, 1.0) if restart else random.uniform(1.0, 10.0)
        connection.session.closing(meaning, retry_after)
        connection.finish(code, meaning)


_REASONS = {400: "malformed", 401: "not-authenticated", 403: "origin", 421: "host", 429: "request-rate"}


def _user(identity: Identity) -> tuple[str, str]:
    return identity.method, identity.user


def _less(counter: Counter[Key], key: Key) -> None:
    """One less; nothing is kept of what has come to nought."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


def _who(connection: Connection) -> dict[str, str]:
    session = connection.session
    if session is None or session.identity is None:
        return {"address": connection.peer}
    identity = session.identity
    return {
        "address": connection.peer,
        "session": session.id,
        "user": identity.user,
        "role": identity.role.name,
        "method": identity.method,
    }


def _is_loopback(peer: str) -> bool:
    if peer == "unix":
        return True
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
