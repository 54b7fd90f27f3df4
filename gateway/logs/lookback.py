"""Reading back what a log on disk holds: what is recent from memory, the rest from the file in the reader's thread."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.hub.log import Page, Selection
from gateway.hub.ring import Ring
from gateway.logs.backlog import Backlog
from gateway.logs.diskpages import DiskPages
from gateway.logs.gate import Gate
from gateway.logs.historyfile import damaged
from gateway.logs.shelf import Shelf
from gateway.logs.worker import Done, Work, Worker

logger = logging.getLogger("gateway.history")


class Lookback:
    """Reads `ring` (what was handed on), `backlog` (what is not on disk yet) and the file at `path`.

    `broken(failure, file)` is told of a file, by device and inode, that turns out to be damaged. See Log.
    """

    def __init__(
        self,
        path: Path,
        *,
        ring: Ring,
        backlog: Backlog,
        reader: Worker,
        gate: Gate,
        broken: Callable[[Exception, tuple[int, int]], None],
    ) -> None:
        self.shelf = Shelf(path)
        self.pages = DiskPages(self.shelf)
        self._path = path
        self._ring = ring
        self._backlog = backlog
        self._reader = reader
        self._gate = gate
        self._broken = broken

    @property
    def memory(self) -> Ring:
        """Whichever of what is held in memory reaches further back."""
        unwritten = self._backlog.ring
        return unwritten if unwritten.oldest < self._ring.oldest else self._ring

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        until = min(until, self._ring.newest)
        start = after + 1
        if start > until:
            take(Page([], max(until, after)))
            return
        memory = self.memory
        if start >= memory.oldest:
            messages = memory.page(start, until)
            take(Page(messages, messages[-1].offset))
            return
        limit = min(until, memory.oldest - 1, self._backlog.committed)
        if start > limit:
            # Never stored, and pushed out of memory: the disk was out of reach for too long.
            end = min(until, memory.oldest - 1)
            take(Page([], end, (start, end)))
            return

        def done(page: Page | None, failure: Exception | None) -> None:
            if page is None:
                self.unreadable(failure)
                page = Page([], limit, (start, limit))
            take(page)

        self.on_shelf(partial(self.pages.page, after, limit, wanted), done)

    def offset_before(
        self,
        age: float,
        take: Callable[[int], None],
        *,
        now: float,
        lived: float | None,
        wall: float | None,
    ) -> None:
        """See Log. `now` is the log's clock, `lived` for how long gateways have lived on the file by then, None where
        it is out of reach; `wall` is Unix time, None where it may be wrong."""
        memory = self.memory
        oldest = memory.oldest - 1
        found = memory.before(now - age)
        if found is not None or lived is None:
            take(oldest if found is None else min(found, self._ring.newest))
            return

        def done(offset: int | None, failure: Exception | None) -> None:
            if failure is not None:
                self.unreadable(failure)
            take(oldest if offset is None else offset)

        self.on_shelf(partial(self.pages.before, lived - age, None if wall is None else wall - age), done)

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None], *, in_reach: bool) -> None:
        """See Log; `in_reach`: the file is there to be looked into."""
        memory = self.memory
        found, missing = memory.before_last(count, self._ring.newest, wanted.wants)
        if not missing or not in_reach:
            take(found)
            return

        def look(missing: int, until: int) -> None:
            # A moment at a time: whoever looks for what is rare must not keep the others waiting.
            self.on_shelf(partial(self.pages.before_last, missing, until, wanted), partial(looked, until))

        def looked(until: int, result: tuple[int, int, bool] | None, failure: Exception | None) -> None:
            if result is None:
                self.unreadable(failure)
                take(until)
                return
            offset, missing, older = result
            if missing and older:
                look(missing, offset)
            else:
                take(offset)

        look(missing, memory.oldest - 1)

    def on_shelf(self, work: Work, done: Done) -> None:
        """Do a piece of reading in the reader's thread."""

        def read() -> object:
            with self._gate.reading():
                self.shelf.refresh()
                return work()

        self._reader.submit(read, done)

    def unreadable(self, failure: Exception | None) -> None:
        """What was asked of the file was not answered: tell, and begin anew with it next time."""
        logger.warning("history: %s cannot be read: %s", self._path, failure)
        if failure is not None and damaged(failure):
            self._broken(failure, self.shelf.inode)
        self._reader.submit(self.shelf.close, lambda result, failure: None)
