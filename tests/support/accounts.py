"""Clients that keep books: every offset that matched was delivered, or is counted in a gap.

No sockets: a real Session, Hub and MemoryLog, and a line with a real Outbox whose socket takes as many bytes as the
test says. `House.restart` is a gateway that comes up again with another epoch; time passes by hand.
"""

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

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
from gateway.topics import matches

FREE = 1 << 40
CHUNK = 600  # bytes offered at a time: small, so that the policy has something to reach


class Line:
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

    def send(self, blob: bytes) -> int:
        taken = min(self.credit, len(blob))
        if not taken:
            raise BlockingIOError
        self.credit -= taken
        self._took(bytes(blob[:taken]))
        return taken

    def push(self, batch: Batch) -> None:
        self._put(lambda: self._outbox.push(batch, now=self._house.now))

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
matched = cache(matches)


class Books:
    """One client over all its connections, which resumes from its mark as protocol.md says."""

    def __init__(self, house: "House", mode: str, interval: float) -> None:
        self.line: Line | None = None
        self._house = house
        self._mode = mode
        self._interval = interval
        self._mark: tuple[str, int] | None = None
        self._filters: list[str] = []

    @property
    def connected(self) -> bool:
        return self.line is not None and self.line.alive

    def connect(self, filters: list[str]) -> None:
        """Come for the first time, or again."""
        house = self._house
        self._counted = house.log.newest
        self._blob = b""
        self._live: list[int] = []
        self._reached = 0
        # Order is promised per subscription; what a replay still holds comes behind what another has live.
        self._mixed = False
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._per_topic: dict[str, int] = {}
        self._named = 0
        self._unknown: list[tuple[int, int]] = []
        self._replaying = 0
        self._since: list[tuple[str, int]] = []
        self._allowed: dict[int, int] = {}
        self.line = Line(house, self._took)
        session = self.line.session = Session(id="s", wire=self.line, dialect=NATIVE, room=house.room, role=VIEWER)
        session.start()
        self._filters = self._filters or filters
        wish: Any = "none" if self._mark is None else {"epoch": self._mark[0], "offset": self._mark[1]}
        start = house.log.newest
        if isinstance(wish, dict) and wish["epoch"] == house.log.epoch:
            start = wish["offset"]
        self._subscribe(self._filters, wish, start)

    def more(self, filter: str, wish: str) -> None:
        """Subscribe to something more."""
        if filter not in self._filters:
            self._filters = [*self._filters, filter]
            self._mixed |= self._replaying > 0
            self._subscribe([filter], wish, self._house.log.newest)

    def settle(self) -> None:
        """All has been said: the books must be balanced."""
        missing = self._missing(self._house.log.newest)
        assert missing == self._named, f"{sorted(self._open)} are missing, {self._named} named"

    def _subscribe(self, filters: list[str], wish: Any, start: int) -> None:
        assert self.line is not None
        assert self.line.session is not None
        self._since += [(filter, start) for filter in filters]
        self._counted = min(self._counted, start)
        foreign = isinstance(wish, dict) and wish["epoch"] != self._house.log.epoch
        if wish == "last" or foreign:
            for message in self._house.hub.last(lambda topic: any(matches(f, topic) for f in filters)):
                self._allowed[message.offset] = self._allowed.get(message.offset, 0) + 1
        self._replaying += wish != "none"
        command = {"type": "subscribe", "id": 1, "topics": filters, "replay": wish}
        command |= {"mode": self._mode, "interval": self._interval}
        self.line.session.receive(msgspec.json.encode(command), text=True)

    def _missing(self, until: int) -> int:
        """How many offsets this client is owed on this connection, as far as anybody knows, and has not got."""
        published = self._house.published
        for offset in range(self._counted + 1, until + 1):
            if offset not in self._seen and self._owed(offset, published[offset - 1]):
                self._open.add(offset)
        self._counted = max(self._counted, until)
        return sum(offset <= until for offset in self._open)

    def _owed(self, offset: int, topic: str) -> bool:
        for filter, start in self._since:
            if offset > start and matched(filter, topic):
                return not any(first <= offset <= last for first, last in self._unknown)
        return False

    def _due(self, until: int) -> None:
        missing = self._missing(until)
        assert missing <= self._named, f"up to {until}: {missing} are missing, {self._named} named"

    def _took(self, data: bytes) -> None:
        self._blob += data
        while (end := _frame_end(self._blob)) is not None:
            head = 2 if self._blob[1] < 126 else 4 if self._blob[1] == 126 else 10
            told = msgspec.json.decode(self._blob[head:end])
            self._blob = self._blob[end:]
            getattr(self, "_" + told["type"], self._other)(told)
        if self._reached:
            self._due(self._reached)
            self._reached = 0

    def _message(self, told: dict[str, Any]) -> None:
        offset, topic = told["offset"], told["topic"]
        assert self._house.published[offset - 1] == topic
        if told.get("replay") and self._allowed.get(offset):
            self._allowed[offset] -= 1
            return
        assert offset not in self._seen, f"{offset} twice"
        assert self._owed(offset, topic), f"{offset} was not asked for"
        self._seen.add(offset)
        self._open.discard(offset)
        if "replay" in told or self._mixed:
            return
        assert offset > self._per_topic.get(topic, 0), f"{topic} went back to {offset}"
        self._per_topic[topic] = offset
        if self._mode == "all" and not self._interval:
            assert not self._live or offset > self._live[-1], f"live went back to {offset}"
            self._live.append(offset)
            if not self._replaying:
                self._reached = offset

    def _gap(self, told: dict[str, Any]) -> None:
        assert 1 <= told["from"] <= told["to"] <= self._house.log.newest or told["count"] is None
        if told["count"] is None:
            first, last = told["from"], told["to"]
            self._unknown.append((first, last))
            self._open -= set(range(first, last + 1))
            return
        assert sum(told["topics"].values()) == told["count"]
        self._named += told["count"]

    def _replayed(self, told: dict[str, Any]) -> None:
        self._replaying -= 1

    def _heartbeat(self, told: dict[str, Any]) -> None:
        self._due(told["offset"])
        self._mark = self._house.log.epoch, told["offset"]

    def _other(self, told: dict[str, Any]) -> None:
        assert told["type"] in ("welcome", "ok", "rate"), told


def _frame_end(blob: bytes) -> int | None:
    """Where the first unmasked text frame ends (RFC 6455, 5.2), None while it is not whole."""
    if len(blob) < 4:
        return None
    size, at = blob[1], 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(blob[2 : 2 + width], "big"), 2 + width
    return at + size if len(blob) >= at + size else None


class House:
    """The gateway without sockets; `published` are the topics of this epoch, by offset."""

    def __init__(self, *, bounds: Bounds, ring: int, total: float) -> None:
        self.now = 1000.0
        self.bounds = bounds
        self.budget = Budget(limit=total, schedule=self.schedule)
        self.clients: list[Books] = []
        self._ring = ring
        self._epoch = 0
        self._turns: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self.restart()

    def schedule(self, function: Callable[[], None]) -> None:
        self._turns.append(function)

    def restart(self) -> None:
        """Everything in memory is gone; the next epoch begins."""
        for client in self.clients:
            if client.line is not None:
                client.line.drop()
        self._turns.clear()
        self._timers.clear()
        self._epoch += 1
        self.published: list[str] = []
        self.hub = Hub(
            schedule=self.schedule, clock=self.clock, later=self._later, period=5.0, kept=lambda t: t == "alarm"
        )
        self.log = MemoryLog(self.hub.take, epoch=f"e{self._epoch}", limit=self._ring, age=1e9, clock=self.clock)
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

    def clock(self) -> float:
        return self.now

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
            if not self._turns:
                return
            self.turn()
        raise AssertionError("it never comes to rest")

    def _later(self, delay: float, function: Callable[[], None]) -> None:
        self._timers.append((self.now + delay, function))
