"""The last values that a subscribe asks for: found a slice at a time, told in offset order. Pure."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Protocol

from gateway.hub.message import Message

SLICE = 512  # topics looked at before live clients may have their turn: well under a millisecond

_offset = attrgetter("offset")


class Holder(Protocol):
    """Something that knows the last value of a topic."""

    last: Message | None


class Snapshot:
    """Of the last values in `holders`, those with offsets in (after, until] that are `wanted`; no cleared ones.

    A topic that speaks while it is being looked for has its value above `until` then, where the replay tells it.
    `floor` is an offset up to which all values have been taken.
    """

    def __init__(self, holders: Sequence[Holder], *, after: int, until: int, wanted: Callable[[Message], bool]) -> None:
        self.floor = after
        self._holders = holders
        self._after = after
        self._until = until
        self._wanted = wanted
        self._at = 0
        self._runs: list[list[Message]] = []
        self._found: Iterator[Message] | None = None

    @property
    def looking(self) -> bool:
        """Whether some topics have not been looked at yet."""
        return self._found is None

    def look(self) -> None:
        """Look at the next slice."""
        after, until, wanted = self._after, self._until, self._wanted
        run = [
            message
            for holder in self._holders[self._at : self._at + SLICE]
            if (message := holder.last) is not None
            and after < message.offset <= until
            and (message.payload or message.size)
            and wanted(message)
        ]
        self._at += SLICE
        if run:
            run.sort(key=_offset)
            self._runs.append(run)
        if self._at >= len(self._holders):
            # Merged as it is taken: sorting all at once would take its time in one go again.
            self._found = merge(*self._runs, key=_offset)
            self._holders, self._runs = (), []

    def take(self, count: int) -> list[Message]:
        """The next ones, in offset order; none once all have been taken."""
        assert self._found is not None
        taken = list(islice(self._found, count))
        if taken:
            self.floor = taken[-1].offset
        return taken
