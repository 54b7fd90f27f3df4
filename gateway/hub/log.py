"""The log: it alone gives a message its offset, and reads back what it still has.

Three logs stand behind this interface: the memory ring here, SQLite and JetStream in `gateway/logs`. Each hands on in
offset order what was appended, and calls `durable` once the messages may be acknowledged to the broker.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.hub.message import Message

BLOCK = 256
MESSAGE_OVERHEAD = (
    160  # bytes of a Message, its payload's header and its place in a block (sys.getsizeof, CPython 3.11)
)

Sink = Callable[[list[Message]], None]


class Page(msgspec.Struct, frozen=True):
    """Messages read back, in offset order.

    `reached` is the offset up to which this page answers (messages or not). Where the log no longer holds the
    beginning of what was asked for, `gone` names the range (first, last; inclusive) and `reason` says why
    ("history-expired", "restart").
    """

    messages: list[Message]
    reached: int
    gone: tuple[int, int] | None = None
    reason: str = "history-expired"


class Log(Protocol):
    """What every log offers. `epoch` names the run of offsets; `newest` is the last one given, 0 before the first."""

    epoch: str

    @property
    def newest(self) -> int:
        """The newest offset handed on."""

    def append(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        """Give each message its offset and hand them on in order; call `durable` when they may be acknowledged."""

    def read(self, after: int, until: int, take: Callable[[Page], None]) -> None:
        """Hand one page of at most BLOCK messages with offsets in (after, until] to `take`, now or later."""

    def offset_before(self, age: float) -> int:
        """The offset after which a replay of the last `age` seconds begins."""

    def offset_of_last(self, count: int, wanted: Callable[[str], bool]) -> int:
        """The offset after which a replay of the last `count` messages of wanted topics begins."""


class _Block:
    __slots__ = ("first", "messages", "size", "time")

    def __init__(self, first: int, time: float) -> None:
        self.first = first
        self.messages: list[Message] = []
        self.size = 0
        self.time = time


class MemoryLog:
    """A ring of messages in memory, bounded in bytes and age.

    `limit` is in bytes, `age` in seconds by `clock` (monotonic). Messages are kept in blocks: dropping and looking up
    costs per block. What is kept are the messages themselves, which the hub and the outboxes share.
    """

    def __init__(self, sink: Sink, *, epoch: str, limit: int, age: float, clock: Callable[[], float]) -> None:
        self.epoch = epoch
        self.limit = limit
        self.age = age
        self.size = 0
        self._sink = sink
        self._clock = clock
        self._newest = 0
        self._blocks: deque[_Block] = deque()
        self._firsts: deque[int] = deque()

    @property
    def newest(self) -> int:
        return self._newest

    @property
    def oldest(self) -> int:
        """The oldest offset still held; one past the newest where nothing is."""
        return self._blocks[0].first if self._blocks else self._newest + 1

    def append(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        now = self._clock()
        offset = self._newest
        size = 0
        for message in messages:
            offset += 1
            message.offset = offset
            size += len(message.payload)
        size += MESSAGE_OVERHEAD * len(messages)
        blocks = self._blocks
        block = blocks[-1] if blocks else None
        if block is None or len(block.messages) >= BLOCK or now - block.time > 1.0:
            block = _Block(self._newest + 1, now)
            blocks.append(block)
            self._firsts.append(block.first)
        block.messages += messages
        block.size += size
        self.size += size
        self._newest = offset
        if self.size > self.limit or now - blocks[0].time > self.age:
            self.expire(now)
        self._sink(messages)
        if durable is not None:
            durable()

    def expire(self, now: float) -> None:
        """Drop the oldest blocks until the ring is within its bounds."""
        blocks = self._blocks
        while blocks and (self.size > self.limit or now - blocks[0].time > self.age):
            self.size -= blocks.popleft().size
            self._firsts.popleft()

    def read(self, after: int, until: int, take: Callable[[Page], None]) -> None:
        until = min(until, self._newest)
        oldest = self.oldest
        gone = (after + 1, min(oldest - 1, until)) if after + 1 < oldest else None
        start = max(after + 1, oldest)
        if start > until:
            take(Page([], until, gone))
            return
        block = self._blocks[bisect_right(self._firsts, start) - 1]
        skip = start - block.first
        messages = block.messages[skip : skip + min(BLOCK, until - start + 1)]
        take(Page(messages, messages[-1].offset, gone))

    def offset_before(self, age: float) -> int:
        since = self._clock() - age
        for block in self._blocks:
            if block.time >= since - 1.0:
                return block.first - 1
        return self._newest

    def offset_of_last(self, count: int, wanted: Callable[[str], bool]) -> int:
        verdicts: dict[str, bool] = {}
        for block in reversed(self._blocks):
            for message in reversed(block.messages):
                verdict = verdicts.get(message.topic)
                if verdict is None:
                    verdict = verdicts[message.topic] = wanted(message.topic)
                if verdict:
                    count -= 1
                    if count <= 0:
                        return message.offset - 1
        return self.oldest - 1
