"""The log: it alone gives a message its offset, and reads back what it still has.

Three logs stand behind this interface: the memory ring here, SQLite and JetStream in `gateway/logs`. Each hands on in
offset order what was appended, and calls `durable` once the messages may be acknowledged to the broker.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from gateway.hub.message import Message
from gateway.hub.ring import BLOCK, Ring
from gateway.topics import any_of, matches

EXPIRED = "history-expired"
RESTART = "restart"

Sink = Callable[[list[Message]], None]


class Page(msgspec.Struct, frozen=True):
    """Messages read back, in offset order.

    `reached` is the offset up to which this page answers (messages or not). Where the log does not hold the beginning
    of what was asked for, `gone` names that range (first, last; inclusive), `reason` says why ("history-expired",
    "restart") and `empty` whether its offsets are known to have named nothing.
    """

    messages: list[Message]
    reached: int
    gone: tuple[int, int] | None = None
    reason: str = EXPIRED
    empty: bool = False


class Selection(NamedTuple):
    """The topics that a reader wants: those that a filter matches and no deny does."""

    filters: tuple[str, ...]
    denies: tuple[str, ...] = ()

    def wants(self, topic: str) -> bool:
        return any_of(self.filters)(topic) and not any(matches(d, topic) for d in self.denies)


class Recent(NamedTuple):
    """What a new run takes up: the last value of each topic, and the newest messages that came with QoS 1.

    `broken` is the newest offset behind which messages are known to have passed by upstream, -1 where none is known.
    """

    last: list[Message]
    acknowledged: list[Message]
    broken: int = -1


class Log(Protocol):
    """What every log offers. `open` comes first, `close` last.

    `epoch` names the run of offsets; where it becomes another one, offsets go on. While `suspect` is set (the wall
    clock is wrong), age deletes nothing. What is in memory is answered within the call, the rest later, in a turn of
    the loop of its own; a callback is called exactly once. Whatever a log hands on stays in memory long enough that a
    reader at the newest page finds it there: `near` says from where on.
    """

    epoch: str
    suspect: bool

    def open(self) -> Recent:
        """Take up where the last run ended. May block for a second, for 20 where a disk hangs; never raises for it."""

    def close(self, seconds: float = 5.0) -> None:
        """Store what waits, and end; within `seconds`, whatever a disk does."""

    def names(self, epoch: str, offset: int) -> bool:
        """Whether an offset of `epoch` is one of this log's: of the present one, or handed on under a former one."""

    @property
    def newest(self) -> int:
        """The newest offset handed on, 0 before the first."""

    @property
    def near(self) -> int:
        """A `read` after this offset, or a later one, is answered within the call."""

    @property
    def busy(self) -> bool:
        """Whether so much waits to be stored that its source should wait."""

    def append(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        """Give each message its offset and hand them on in order; call `durable` when they may be acknowledged."""

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        """Hand one page of at most BLOCK messages with offsets in (after, until] to `take`.

        Messages that `wanted` does not want may be left out of it, or not.
        """

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        """Tell `take` whether `offset`, above the newest, has been given, as it may have been where other gateways hand
        on the same log; once it has been handed on here too."""

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        """Hand to `take` the offset after which a replay of the last `age` seconds begins."""

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        """Hand to `take` the offset after which a replay of the last `count` wanted messages begins."""


class MemoryLog:
    """A log in memory alone, bounded in bytes (`limit`) and age (seconds by `clock`, which is monotonic)."""

    near = 0
    busy = False
    suspect = False

    def __init__(self, sink: Sink, *, epoch: str, limit: int, age: float, clock: Callable[[], float]) -> None:
        self.epoch = epoch
        self.ring = Ring(limit=limit, age=age)
        self._sink = sink
        self._clock = clock
        self._newest = 0

    def open(self) -> Recent:
        return Recent([], [])

    def close(self, seconds: float = 5.0) -> None:
        """Nothing is kept."""

    def names(self, epoch: str, offset: int) -> bool:
        return epoch == self.epoch

    @property
    def newest(self) -> int:
        return self._newest

    @property
    def oldest(self) -> int:
        """The oldest offset still held; one past the newest where nothing is."""
        return self.ring.oldest

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.ring.size

    def append(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        offset = before = self._newest
        size = 0
        for offset, message in enumerate(messages, before + 1):
            message.offset = offset
            size += len(message.payload)
        self.ring.append(messages, size, self._clock())
        self._newest = offset
        self._sink(messages)
        if durable is not None:
            durable()

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        until = min(until, self._newest)
        oldest = self.ring.oldest
        gone = (after + 1, min(oldest - 1, until)) if after + 1 < oldest else None
        start = max(after + 1, oldest)
        if start > until:
            take(Page([], until, gone))
            return
        messages = self.ring.page(start, until)
        take(Page(messages, messages[-1].offset, gone))

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        take(False)

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        found = self.ring.before(self._clock() - age)
        take(self.ring.oldest - 1 if found is None else found)

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        take(self.ring.before_last(count, self._newest, wanted.wants)[0])


__all__ = ["BLOCK", "EXPIRED", "RESTART", "Log", "MemoryLog", "Page", "Recent", "Selection", "Sink"]
