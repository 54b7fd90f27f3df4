"""A gateway for clients that keep books: every offset that matched was delivered, or is counted in a gap.

No sockets: a real Session, Hub and MemoryLog, and a line with a real Outbox whose socket takes as many bytes as the
test says. `House.restart` is a gateway that comes up again with another epoch; time passes by hand.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from support.books import Books
from support.row import InRow
from support.talk import LateLog
from support.volley import Volley

from gateway.edge.dialects.native import NativeJson
from gateway.edge.events import gap_of
from gateway.edge.frames import Desk
from gateway.edge.roles import VIEWER
from gateway.edge.room import Room, SessionLimits
from gateway.edge.session import Session
from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.hub import Hub
from gateway.hub.ledger import Ledger
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Outbox, Overflow
from gateway.hub.rate import Pressure

FREE = 1 << 40
CHUNK = 600  # bytes offered at a time: small, so that the policy has something to reach


class Line(InRow):
    """A client's socket that takes `credit` bytes more."""

    def __init__(self, house: "House", took: Callable[[bytes], None]) -> None:
        self.credit = FREE
        self.queued = False
        self.alive = True
        self.session: Session | None = None
        self._house = house
        self._took = took
        self._outbox = Outbox(house.bounds, self._gap, budget=house.budget, end=self.drop)
        house.budget.open(self._outbox)
        if house.volley is not None:
            house.volley.place(self)

    def send(self, blob: bytes) -> int:
        taken = min(self.credit, len(blob))
        if not taken:
            raise BlockingIOError
        self.credit -= taken
        self._took(bytes(blob[:taken]))
        return taken

    def push(self, batch: Batch) -> None:
        if self.queued:
            self._put(lambda: self._outbox.push(batch, now=self._house.now))
            return
        self._put(lambda: self._outbox.push(batch, now=None))
        if batch.messages is not None:
            self._put(lambda: self._outbox.judge(self._house.now))

    def short(self, batch: Batch, taken: int) -> None:
        self._put(lambda: self._outbox.resume(batch, taken, now=self._house.now))

    def failed(self, batch: Batch, error: OSError) -> None:
        self.push(batch)

    def deliver(self, frame: bytes) -> None:
        self.push(solo(frame))

    def owe(self, ledger: Ledger) -> None:
        self.deliver(self._gap(ledger))

    def pressure(self) -> Pressure:
        return Pressure(self.queued, self._outbox.waiting)

    def finish(self, code: int, reason: str) -> None:
        self.drop()

    def abort(self, reason: str) -> None:
        self.drop()

    def backlog(self) -> Outbox:
        raise AssertionError("nothing is acknowledged here")

    def drop(self) -> None:
        """The connection is gone, and all that waited."""
        if self.alive:
            self.alive = False
            if self.session is not None:
                self.session.end()
            self._outbox.close()
            self._house.budget.close(self._outbox)
            self.queued = False

    def pump(self) -> None:
        while self.alive and self.credit and (chunk := self._outbox.chunk(CHUNK)) is not None:
            self._outbox.took(self.send(chunk))  # type: ignore[arg-type]
        if self.alive and self.queued and not self._outbox:
            self.queued = False
            if self.session is not None:
                self.session.drained()

    def _put(self, put: Callable[[], None]) -> None:
        if not self.alive:
            return
        try:
            put()
        except Overflow:
            self.drop()
            return
        self.queued = True
        self.pump()

    def _gap(self, ledger: Ledger) -> bytes:
        return NATIVE.event(gap_of(ledger))


NATIVE = NativeJson()


class House:
    """The gateway without sockets; `published` are the topics of this epoch, by offset."""

    def __init__(
        self, *, bounds: Bounds, ring: int, total: float, late: int | None = None, volley: bool = False
    ) -> None:
        self.now = 1000.0
        self.bounds = bounds
        self.budget = Budget(limit=total, schedule=self.schedule)
        self.clients: list[Books] = []
        self.volley = Volley() if volley else None
        self._ring = ring
        self._late = late
        self._epoch = 0
        self._turns: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self.restart()

    def schedule(self, function: Callable[[], None]) -> None:
        self._turns.append(function)

    def restart(self) -> None:
        """Everything in memory is gone; the next epoch begins."""
        self.stop()
        self._epoch += 1
        self.published: list[str] = []
        self.start()

    def stop(self) -> None:
        """The gateway dies, and all connections with it."""
        for client in self.clients:
            if client.line is not None:
                client.line.drop()
        self._turns.clear()
        self._timers.clear()

    def start(self) -> None:
        """The gateway comes up."""
        self.hub = Hub(
            schedule=self.schedule,
            clock=self.clock,
            later=self._later,
            period=5.0,
            kept=lambda t: t == "alarm",
            volley=self.volley,
        )
        self.log = self.make_log(limit=self._ring, age=1e9, clock=self.clock)
        self.room = Room(
            hub=self.hub,
            log=self.log,
            name="test",
            build="0",
            heartbeat=5.0,
            limits=SessionLimits(commands_per_second=1e9),
            clock=self.clock,
            wall=self.clock,
            desk=Desk(self.schedule, self.clock),
            upstreams=self,  # type: ignore[arg-type]
        )

    def make_log(self, **options: Any) -> Any:
        """The log of a gateway that comes up, which hands on to the hub."""
        options["epoch"] = f"e{self._epoch}"
        if self._late is None:
            return MemoryLog(self.hub.take, **options)
        return LateLog(self.hub.take, window=self._late, **options)

    @property
    def oldest(self) -> int:
        """The oldest offset that the log holds."""
        return int(self.log.oldest)

    @property
    def owes(self) -> bool:
        """Whether the log has not answered all that it was asked."""
        return isinstance(self.log, LateLog) and bool(self.log.owed)

    def answer(self) -> None:
        """The log gives the oldest answer that it owes."""
        self.log.owed.popleft()()

    def clock(self) -> float:
        return self.now

    def line(self, took: Callable[[bytes], None]) -> Line:
        """A new connection."""
        line = Line(self, took)
        session = line.session = Session(id="s", wire=line, dialect=NATIVE, room=self.room, role=VIEWER)
        session.start()
        return line

    def states(self) -> list[Any]:
        return []

    def client(self, mode: str, interval: float) -> Books:
        client = Books(self, mode, interval)
        self.clients.append(client)
        return client

    def publish(self, topics: list[str], size: int) -> None:
        self.published += topics
        self.log.append([Message(topic, b"1" * size, self.now, "u") for topic in topics])

    def turn(self) -> None:
        """One turn of the loop."""
        if self.owes:
            self.answer()
        for _ in range(len(self._turns)):
            self._turns.popleft()()

    def sleep(self, seconds: int) -> None:
        """Time passes, with a beat a second."""
        for _ in range(seconds):
            until = self.now + 1.0
            while self._timers and min(when for when, _ in self._timers) <= until:
                timer = min(self._timers, key=lambda each: each[0])
                self._timers.remove(timer)
                self.now = max(self.now, timer[0])
                timer[1]()
                self._run()
            self.now = until
            for client in self.clients:
                line = client.line
                if line is not None and line.alive and line.session is not None:
                    line.session.beat(self.now)
            self.budget.tick()
            self._run()

    def settle(self) -> None:
        """Every socket takes everything, and all intervals and gaps come to their end."""
        for client in self.clients:
            if client.line is not None:
                client.line.credit = FREE
                client.line.pump()
        self._run()
        self.sleep(14)
        for client in self.clients:
            if client.connected:
                client.settle()

    def _run(self) -> None:
        for _ in range(10_000):
            if not self._turns and not self.owes:
                return
            self.turn()
        raise AssertionError("it never comes to rest")

    def _later(self, delay: float, function: Callable[[], None]) -> None:
        self._timers.append((self.now + delay, function))
