"""A session without a socket: what its client is told, frame by frame, while the test says when the socket takes."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from support.row import InRow

from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.native import NativeJson
from gateway.edge.frames import Desk
from gateway.edge.roles import Role
from gateway.edge.room import Room, SessionLimits
from gateway.edge.session import Session
from gateway.hub.batch import Batch
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog, Page, Selection
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Outbox


def objects(blob: bytes) -> list[dict[str, Any]]:
    """The objects in joined, unmasked text frames (RFC 6455, 5.2)."""
    told, at = [], 0
    while at < len(blob):
        size, at = blob[at + 1], at + 2
        if size == 126:
            size, at = int.from_bytes(blob[at : at + 2], "big"), at + 2
        elif size == 127:
            size, at = int.from_bytes(blob[at : at + 8], "big"), at + 8
        told.append(msgspec.json.decode(blob[at : at + size]))
        at += size
    return told


class Line(InRow):
    """A client's socket that takes all at once, or nothing while `blocked`."""

    def __init__(self, told: Callable[[dict[str, Any]], None]) -> None:
        self.blocked = False
        self.queued = False
        self.session: Session | None = None
        self.largest = 0
        self._told = told
        self._outbox = Outbox(Bounds(soft=1 << 40, hard=1 << 40), lambda ledger: b"")

    def send(self, blob: bytes) -> int:
        if self.blocked:
            raise BlockingIOError
        for each in objects(bytes(blob)):
            self._told(each)
        return len(blob)

    def push(self, batch: Batch) -> None:
        self._outbox.push(batch, now=None if batch.messages is None else 0.0)
        self.largest = max(self.largest, self._outbox.size)
        self.queued = True
        self.pump()

    def failed(self, batch: Batch, error: OSError) -> None:
        self.push(batch)

    def short(self, batch: Batch, taken: int) -> None:
        raise AssertionError("this socket takes all or nothing")

    def deliver(self, frame: bytes) -> None:
        self.push(Batch([frame], None))

    def finish(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code}: {reason}")

    def abort(self, reason: str) -> None:
        raise AssertionError(f"aborted: {reason}")

    def backlog(self) -> Outbox:
        raise AssertionError("nothing is acknowledged here")

    def pump(self) -> None:
        while not self.blocked and (chunk := self._outbox.chunk(1 << 40)) is not None:
            self.send(chunk)  # type: ignore[arg-type]
            self._outbox.took(len(chunk))
        if not self.blocked and self.queued:
            self.queued = False
            if self.session is not None:
                self.session.drained()


class LateLog(MemoryLog):
    """A memory log that answers late whatever lies more than `window` messages back."""

    def __init__(self, *args: Any, window: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.window = window
        self.owed: deque[Callable[[], None]] = deque()

    @property
    def near(self) -> int:  # type: ignore[override]
        return max(0, self.newest - self.window)

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        if after >= self.near:
            super().read(after, until, wanted, take)
        else:
            self.owed.append(lambda: MemoryLog.read(self, after, until, wanted, take))

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        super().offset_before(age, lambda found: self.owed.append(lambda: take(found)))

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        # Reckoned from what was there when it was asked for, like a log on disk does.
        super().offset_of_last(count, wanted, lambda found: self.owed.append(lambda: take(found)))


class Talk:
    """One client's whole conversation; `told` is all it got, in order."""

    def __init__(
        self,
        *,
        late: int | None = None,
        deny: tuple[str, ...] = (),
        limit: int = 1 << 30,
        age: float = 600.0,
        dialect: Dialect | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.now = 1000.0
        self._clock = clock
        self.turns: deque[Callable[[], None]] = deque()
        self.told: list[dict[str, Any]] = []
        self.hub = Hub(schedule=self.turns.append, clock=self.clock)
        self.published: list[Message] = []
        self.log = self.make_log(late, limit=limit, age=age)
        self.desk = Desk(self.turns.append, self.clock)
        room = Room(
            hub=self.hub,
            log=self.log,
            name="test",
            build="0",
            heartbeat=20.0,
            limits=SessionLimits(commands_per_second=1e9),
            clock=self.clock,
            wall=self.clock,
            desk=self.desk,
            upstreams=self,  # type: ignore[arg-type]
        )
        self.room = room
        self.line = Line(self.told.append)
        self.session = Session(
            id="s",
            wire=self.line,
            dialect=dialect or NativeJson(),
            room=room,
            role=Role("viewer", ("#",), (), deny, False, ()),
        )
        self.line.session = self.session
        self.session.start()

    def make_log(self, late: int | None, **options: Any) -> Any:
        """The log that hands on to the hub."""
        options |= {"epoch": "e", "clock": self.clock}
        return MemoryLog(self.hub.take, **options) if late is None else LateLog(self.hub.take, window=late, **options)

    def clock(self) -> float:
        return self.now if self._clock is None else self._clock()

    def states(self) -> list[Any]:
        return []

    def publish(self, topic: str, payload: bytes = b"1", count: int = 1) -> int:
        """Messages from the broker in one turn; the newest offset."""
        messages = [Message(topic, payload, self.now, "u") for _ in range(count)]
        self.published += messages
        self.log.append(messages)
        return int(self.log.newest)

    def say(self, **fields: Any) -> None:
        self.session.receive(msgspec.json.encode(fields), text=True)

    def turn(self) -> None:
        """One turn of the loop."""
        for _ in range(len(self.turns)):
            self.turns.popleft()()

    def answer(self) -> None:
        """The log gives one answer that it owes."""
        if isinstance(self.log, LateLog) and self.log.owed:
            self.log.owed.popleft()()

    def unblock(self) -> None:
        self.line.blocked = False
        self.line.pump()

    def settle(self) -> None:
        """Until nothing moves any more."""
        self.unblock()
        while self.turns or (isinstance(self.log, LateLog) and self.log.owed):
            self.answer()
            self.turn()

    @property
    def replaying(self) -> bool:
        """Whether any replay is under way."""
        return bool(self.session._subscriptions._replays)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.told if each["type"] == kind]

    @property
    def offsets(self) -> list[int]:
        return [each["offset"] for each in self.of("message")]
