"""Where messages passed by upstream: told to those who were away and go on from before. Pure."""

from bisect import bisect_left
from collections.abc import Callable

MOST = 1000
UPSTREAM = "upstream"
"""The reason of the gap that tells of one."""


class Breaks:
    """The offsets behind which messages were lost that nobody can count, each of the newest 1,000 of them.

    `keep` gets each, for a run to come.
    """

    def __init__(self, keep: Callable[[int], object] = lambda offset: None) -> None:
        self._keep = keep
        self._offsets: list[int] = []
        self._older = -1  # the newest of those that are not held one by one any more

    def recall(self, offset: int) -> None:
        """Before all others: the newest one that earlier runs knew of."""
        self._offsets, self._older = [offset], offset

    def note(self, newest: int) -> None:
        """Messages were lost just now; `newest` is the offset of the last one before."""
        if not self._offsets or self._offsets[-1] != newest:
            self._offsets.append(newest)
            if len(self._offsets) > MOST:
                self._older = self._offsets.pop(0)
            self._keep(newest)

    def since(self, offset: int) -> tuple[int, int] | None:
        """The first and the last of those at or behind `offset`; None where there is none.

        At it, too: nobody can say whether a client that had the message before had the word of the loss as well.
        """
        if offset <= self._older:
            return offset, self._offsets[-1]  # rather too much
        place = bisect_left(self._offsets, offset)
        return (self._offsets[place], self._offsets[-1]) if place < len(self._offsets) else None
