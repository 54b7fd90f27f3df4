"""A ring of messages in memory, in blocks: dropping and looking up cost per block, not per message."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable

from gateway.hub.message import Message

BLOCK = 256
MESSAGE_OVERHEAD = (
    160  # bytes of a Message, its payload's header and its place in a block (sys.getsizeof, CPython 3.11)
)
KEPT = 1 << 20  # bytes up to which the newest block stays in any case


class Block:
    """Messages of consecutive offsets from `first` on; `size` in bytes, `time` of its first message by the log's
    clock."""

    __slots__ = ("first", "messages", "size", "time")

    def __init__(self, first: int, time: float) -> None:
        self.first = first
        self.messages: list[Message] = []
        self.size = 0
        self.time = time


class Ring:
    """The newest messages, bounded in bytes (`limit`) and seconds (`age`).

    What is kept are the messages themselves, which the hub and the outboxes share. Offsets follow each other without a
    hole inside of it: `clear` comes before a jump.
    """

    def __init__(self, *, limit: float, age: float) -> None:
        self.limit = limit
        self.age = age
        self.size = 0
        self.newest = 0
        self._blocks: deque[Block] = deque()
        self._firsts: deque[int] = deque()

    @property
    def oldest(self) -> int:
        """The oldest offset still held; one past the newest where nothing is."""
        return self._blocks[0].first if self._blocks else self.newest + 1

    def append(self, messages: list[Message], size: int, now: float) -> None:
        """Take in messages that have their offsets; `size` is the sum of their payloads."""
        blocks = self._blocks
        block = blocks[-1] if blocks else None
        if block is None or len(block.messages) >= BLOCK or now - block.time > 1.0:
            block = Block(messages[0].offset, now)
            blocks.append(block)
            self._firsts.append(block.first)
        size += MESSAGE_OVERHEAD * len(messages)
        block.messages += messages
        block.size += size
        self.size += size
        self.newest = messages[-1].offset
        if self.size > self.limit or now - blocks[0].time > self.age:
            self.expire(now)

    def expire(self, now: float) -> None:
        """Drop the oldest blocks until the ring is within its bounds.

        The newest one stays however tight they are: a reader that has caught up must find what comes next.
        """
        blocks = self._blocks
        while blocks and (self.size > self.limit or now - blocks[0].time > self.age):
            if len(blocks) == 1 and self.size <= KEPT:
                break
            self.size -= blocks.popleft().size
            self._firsts.popleft()

    def clear(self, newest: int) -> None:
        """Forget everything: the next offset is above `newest`."""
        self._blocks.clear()
        self._firsts.clear()
        self.size = 0
        self.newest = newest

    def drop_through(self, offset: int) -> None:
        """Forget the blocks that lie at or below `offset` as a whole."""
        blocks = self._blocks
        while blocks and blocks[0].messages[-1].offset <= offset:
            self.size -= blocks.popleft().size
            self._firsts.popleft()

    def page(self, first: int, until: int) -> list[Message]:
        """At most a block of messages from `first` on, which is held, up to `until`."""
        block = self._blocks[bisect_right(self._firsts, first) - 1]
        skip = first - block.first
        return block.messages[skip : skip + min(BLOCK, until - first + 1)]

    def pages(self) -> list[list[Message]]:
        """All blocks' messages, oldest first; they may still grow at their ends."""
        return [block.messages for block in self._blocks]

    def before(self, since: float) -> int | None:
        """The offset before the first block that reaches past `since`; None where that may lie before the ring."""
        for number, block in enumerate(self._blocks):
            if block.time >= since - 1.0:
                return block.first - 1 if number or block.time <= since else None
        return self.newest if self._blocks else None

    def before_last(self, count: int, until: int, wanted: Callable[[str], bool]) -> tuple[int, int]:
        """The offset before the last `count` wanted messages up to `until`, and how many of them are missing here."""
        verdicts: dict[str, bool] = {}
        for block in reversed(self._blocks):
            for message in reversed(block.messages):
                verdict = verdicts.get(message.topic)
                if verdict is None:
                    verdict = verdicts[message.topic] = wanted(message.topic)
                if verdict and message.offset <= until:
                    count -= 1
                    if count <= 0:
                        return message.offset - 1, 0
        return self.oldest - 1, count
