"""What is not on disk yet: kept until it is, and cut into what is stored at a time. Pure."""

from gateway.hub.log import EXPIRED
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.historyfile import Hole

TRANSACTION = 1 << 22  # bytes stored in one transaction


class Backlog:
    """`given` is the newest offset of all, `committed` the newest that is on disk.

    What waits is kept in `ring`, up to `limit` bytes: once it is `bounded`, the oldest go unwritten; until then whoever
    appends has to look whether it is `full`.
    """

    def __init__(self, *, limit: int, bounded: bool) -> None:
        self.given = 0
        self.committed = 0
        self.limit = limit
        self.ring = Ring(limit=limit if bounded else float("inf"), age=float("inf"))

    def begin(self, newest: int) -> None:
        """All offsets up to `newest` were given by earlier runs."""
        self.given = self.committed = newest
        self.ring.clear(newest)

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self.ring.size > self.limit

    @property
    def waits(self) -> bool:
        """Whether there is anything to store."""
        return self.given > self.committed

    def append(self, messages: list[Message], size: int, now: float) -> None:
        """Take in messages that have their offsets; see Ring."""
        self.given = messages[-1].offset
        self.ring.append(messages, size, now)

    def bound(self, now: float) -> None:
        """The disk is out of reach: from now on the oldest go unwritten."""
        self.ring.limit = self.limit
        self.ring.expire(now)

    def unbound(self) -> None:
        """Whoever appends looks whether it is full again."""
        self.ring.limit = float("inf")

    def next_chunk(self) -> tuple[list[Message], list[Hole]] | None:
        """What to store next, and the offsets before it that were lost; None where nothing waits."""
        messages: list[Message] = []
        size = 0
        for page in self.ring.pages():
            if page[-1].offset > self.committed:
                fresh = page[0].offset > self.committed
                messages += page if fresh else [m for m in page if m.offset > self.committed]
                size += sum(len(m.payload) for m in page)
                if size > TRANSACTION:
                    break
        if not messages:
            return None
        first = messages[0].offset
        lost = [Hole(self.committed + 1, first - 1, EXPIRED, False)] if first > self.committed + 1 else []
        return messages, lost

    def stored(self, until: int) -> None:
        """All up to this offset is on disk."""
        self.committed = until
        self.ring.drop_through(until)
