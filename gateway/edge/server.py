"""The clients: let in, judged, looked after, told goodbye."""

import asyncio
import itertools
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from websockets.http11 import Request

from gateway.edge.admission import Admission, ServerLimits
from gateway.edge.announcer import Announcer
from gateway.edge.api import resources
from gateway.edge.audit import audit
from gateway.edge.connection import Connection
from gateway.edge.credentials import Judge
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.sse import Sse
from gateway.edge.doors import Door
from gateway.edge.drain import Drain
from gateway.edge.endpoints import Endpoint
from gateway.edge.flood import Flood
from gateway.edge.front import Front
from gateway.edge.identities import Identities
from gateway.edge.listeners import Listeners
from gateway.edge.proxy_protocol import Source
from gateway.edge.reception import Reception
from gateway.edge.room import Room
from gateway.edge.visits import Access
from gateway.edge.volley import Volley
from gateway.hub.budget import Budget
from gateway.hub.heartbeat import Heartbeat
from gateway.hub.outbox import Bounds
from gateway.pulse import until_beat

log = logging.getLogger("gateway.edge")

STRIDE = 250  # connections looked after before the loop has its turn


class Server:
    """Holds the connections, and is their Host; the owner of its listeners.

    `announcer` tells clients what is nobody's answer. `counts` are refusals and ends by reason.
    """

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
        volley: Volley | None = None,
        sse: Dialect | None = None,
    ) -> None:
        self.loop = loop
        self.front = front
        self.room = room
        self.bounds = bounds
        self.budget = budget or Budget()
        self.flood = flood or Flood()
        self.volley = volley or Volley(limits.connections)
        self.clock: Callable[[], float] = room.clock
        self.connections: dict[int, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.accepted = 0
        self.started = room.wall()
        self.admission = Admission(limits)
        self.announcer = Announcer(self.connections, room)
        self.listeners = Listeners(
            self,
            loop=loop,
            clock=room.clock,
            unanswered=limits.interval + limits.timeout,
            handshake=limits.handshake,
            accepts=limits.accepts,
        )
        self._identities = Identities(front, self.admission, self.count)
        self._drain = Drain(self.connections, room.clock)
        self._gone_lost = 0
        self._reception = Reception(
            front=front,
            room=room,
            admission=self.admission,
            identities=self._identities,
            drain=self._drain,
            connections=self.connections,
            count=self.count,
            sse=sse or Sse(room.log.epoch),
        )
        self._keys = itertools.count(1)
        self._ticker: asyncio.Task[None] | None = None
        room.authenticate = self._identities.sign_in
        room.auth_methods = front.credentials.by_message
        front.data.resources.update(resources(self))

    @property
    def limits(self) -> ServerLimits:
        """The limits of all connections together."""
        return self.admission.limits

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

    async def drain(self, seconds: float, *, restart: bool = False, elsewhere: bool = False) -> None:
        """Say goodbye to every client, see Drain; then close the listeners. Those of a shared port close at once."""
        self.front.open.draining = True
        if restart:
            self.listeners.stop()
        self.listeners.leave_shared()
        await self._drain.run(seconds, restart=restart, elsewhere=elsewhere)
        self.listeners.stop()

    def close(self) -> None:
        """End everything at once."""
        self.listeners.stop()
        if self._ticker is not None:
            self._ticker.cancel()
        for connection in list(self.connections.values()):
            connection.abort("gateway stops")

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
        self._reception.sse = sse

    def rename(self, dialects: Mapping[str, Callable[[], Dialect]], sse: Dialect) -> None:
        """Offsets have another epoch from now on: those who know the one before come back, and are told the new one."""
        self.speak(dialects, sse)
        self._drain.recall("offsets go on in another epoch")

    def adopt(self, limits: ServerLimits, bounds: Bounds) -> None:
        """Go by these limits from now on, live connections too; nobody is disconnected for it."""
        self.admission.limits, self.bounds = limits, bounds
        self.listeners.pace(
            unanswered=limits.interval + limits.timeout, handshake=limits.handshake, accepts=limits.accepts
        )
        for connection in self.connections.values():
            connection.adopt(bounds, interval=limits.interval, timeout=limits.timeout)

    def review(self) -> None:
        """Look at every live session again: its token may be revoked, its role another one."""
        self._identities.review(self.connections)
        for connection in self.connections.values():
            connection.due = 0.0

    # What a connection asks of its host.

    def requested(self, connection: Connection, request: Request) -> None:
        self._reception.requested(connection, request)

    def forget(self, connection: Connection) -> None:
        if self.connections.pop(connection.key, None) is not None:
            self._gone_lost += connection.lost
            self.admission.leave(connection.peer)
            self._identities.ended(connection)
            self._drain.left()

    def count(self, reason: str) -> None:
        self.counts[reason] += 1

    def gave_up(self, connection: Connection, reason: str) -> None:
        self.count(reason)
        self._identities.gave_up(connection, reason)

    def fault(self, connection: Connection) -> None:
        self.count("fault")
        log.exception("a fault of ours, which costs %s its connection: please report it", connection.peer)

    # Coming in.

    def refusal(self, peer: str, door: Door, waiting: int) -> str | None:
        return self.admission.refusal(peer, door, len(self.connections) + waiting)

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
        self.admission.arrive(peer)

    # Watching over.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(until_beat(self.clock()))
            try:
                await self._look_around(self.clock())
            except Exception:  # without the next round nobody would ever be pinged or ended again
                self.count("fault")
                log.exception("a fault of ours on the round of all clients: please report it")

    async def _look_around(self, now: float) -> None:
        for number, connection in enumerate(list(self.connections.values())):
            if now >= connection.due:
                connection.tick(now, self.limits.handshake)
            if number % STRIDE == STRIDE - 1:
                await asyncio.sleep(0)
        self.listeners.tick(now)
        self.front.data.requests.forget(now)
        self.budget.tick()
