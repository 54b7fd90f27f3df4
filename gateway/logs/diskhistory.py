"""Series out of a log on disk, and their rows by the minute."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from gateway.hub.message import Message
from gateway.hub.series import Buckets, Query, Row, Series, Source, rows_by_minute
from gateway.logs.blocks import DamagedBlock
from gateway.logs.history import EVERY, LIMIT, LONG, MOST, PAUSE, SLICE, WAITING, Revive, answered, fill, revive_path
from gateway.logs.historyfile import MinuteRow
from gateway.logs.sqlite import SqliteLog

logger = logging.getLogger("gateway.history")

MANY = 20_000  # messages that a question has to look through one by one where they are not merged yet
SELDOM = 10  # ticks after which fewer are merged as well


class Covered:
    """A series and the offsets, after `low` up to `high`, that its rows by the minute hold."""

    __slots__ = ("complete", "high", "low", "source")

    def __init__(self, source: Source, low: int, high: int) -> None:
        self.source = source
        self.low = low
        self.high = high
        self.complete = False


class Slice(NamedTuple):
    """What was merged at a time, and the offsets covered with it; `ended` where nothing is left in this direction."""

    low: int
    high: int
    rows: dict[int, Row]
    backward: bool
    ended: bool


class DiskHistory:
    """Series out of an SQLite log. `revive` finds the source of a series of an earlier run by its name."""

    def __init__(
        self, log: SqliteLog, *, loop: asyncio.AbstractEventLoop, revive: Revive = revive_path, every: float = EVERY
    ) -> None:
        self.stored = log.store.age
        self._log = log
        self._loop = loop
        self._revive = revive
        self._every = every
        self._covered: dict[str, Covered] = {}
        self._known: dict[str, tuple[int, int]] | None = None
        self._learning = False
        self._due: deque[str] = deque()
        self._rolling = False
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Go on with the series of earlier runs."""
        self._timer = self._loop.call_later(self._every, self._tick)
        self._learn()

    def _learn(self) -> None:
        """Ask the file what it has. Until it has answered nothing is merged: what is there would be counted twice."""
        if self._learning:
            return

        def known(series: dict[str, tuple[int, int]] | None, failure: Exception | None) -> None:
            self._learning = False
            if series is None:
                return  # it is asked again at the next tick
            self._known = series
            if len(self._known) > MOST:
                self._log.writer.submit(partial(self._log.store.forget_series, MOST), lambda result, failure: None)
            for name in self._known:
                source = self._revive(name)
                if source is not None:
                    self._follow(source)

        self._learning = True
        self._log.on_shelf(self._log.shelf.series, known)

    def close(self) -> None:
        """Follow nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def query(self, query: Query, done: Callable[[Series], None]) -> bool:
        log = self._log
        if log.reader.waiting >= WAITING:
            return False
        covered = self._covered.get(query.source.name)
        long = query.until - query.since > LONG
        span = (covered.low, covered.high) if covered is not None and long else None
        pages, oldest = log.in_memory()
        work = partial(self._answer, query, span, pages, oldest, bool(log.degraded))
        if log.degraded:
            log.reader.submit(work, partial(answered, done))
        else:
            log.on_shelf(work, partial(answered, done))
            self._follow(query.source)
        return True

    # In the reader's thread.

    def _answer(
        self, query: Query, covered: tuple[int, int] | None, pages: list[list[Message]], oldest: int, degraded: bool
    ) -> Series:
        deadline = time.monotonic() + LIMIT
        buckets = Buckets(query.since, query.until, query.points)
        shelf = self._log.shelf
        in_time = True
        if covered is None:
            in_time = fill(buckets, query, self._raw(query, pages, oldest, 0, 1 << 62, degraded), deadline)
        else:
            low, high = covered
            in_time = fill(buckets, query, self._raw(query, pages, oldest, high, 1 << 62, degraded), deadline)
            for row in reversed(shelf.minutes(query.source.name, query.since, query.until)):
                buckets.put(Row(*row[1:]), earlier=True)
            in_time &= fill(buckets, query, self._raw(query, pages, oldest, 0, low, degraded), deadline)
        return Series(buckets.rows(), in_time and not degraded and not shelf.lacks(query.since, query.until))

    def _raw(
        self, query: Query, pages: list[list[Message]], oldest: int, after: int, until: int, degraded: bool
    ) -> Iterator[list[Message]]:
        """Blocks of messages with offsets in (after, until], newest first: from memory, then from disk."""
        for page in reversed(pages):
            if page[0].offset <= until and page[-1].offset > after:
                yield [m for m in page if after < m.offset <= until]
        if degraded or oldest <= after + 1:
            return
        shelf, topics = self._log.shelf, frozenset(query.source.topics)
        for span in shelf.spans(min(until, oldest - 1), query.since, query.until):
            if span.last <= after:
                return
            try:
                messages = shelf.messages(span, topics.__contains__)
            except DamagedBlock:
                continue  # its messages are gone; a replay says so
            yield [m for m in messages if after < m.offset <= until and m.offset < oldest]

    # Rows by the minute.

    def _follow(self, source: Source) -> None:
        if self._known is None or source.name in self._covered or len(self._covered) >= MOST:
            return
        low, high = self._known.get(source.name, (self._log.committed, self._log.committed))
        self._covered[source.name] = Covered(source, low, high)
        self._due.append(source.name)
        self._roll()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._every, self._tick)
        self._ticks += 1
        if self._known is None and not self._log.degraded:
            self._learn()
        for name, covered in self._covered.items():
            # Each merge is a commit of its own: rather a few minutes of messages at a time than a worn card.
            behind = self._log.committed - covered.high
            if not covered.complete or behind > MANY or (behind > 0 and self._ticks % SELDOM == 0):
                self._due.append(name)
        self._due = deque(dict.fromkeys(self._due))
        self._roll()

    def _roll(self) -> None:
        """Merge a slice of the first series that is due; the rest follows when that is stored."""
        if self._rolling or self._closed or self._log.degraded or not self._due:
            return
        covered = self._covered[self._due[0]]
        self._rolling = True
        self._log.on_shelf(partial(self._slice, covered, self._log.committed), partial(self._sliced, covered))

    def _sliced(self, covered: Covered, slice: Slice | None, failure: Exception | None) -> None:
        if slice is None:
            self._rolled(covered, None, failure)
            return
        if not slice.rows:
            self._rolled(covered, slice, None)
            return
        rows = [MinuteRow(minute, *row) for minute, row in slice.rows.items()]
        store = partial(
            self._log.store.put_minutes, covered.source.name, slice.low, slice.high, rows, backward=slice.backward
        )
        self._log.writer.submit(store, lambda result, failure: self._rolled(covered, slice, failure))

    def _rolled(self, covered: Covered, slice: Slice | None, failure: Exception | None) -> None:
        self._rolling = False
        if slice is None or failure is not None:
            logger.warning("history: rows by the minute wait: %s", failure)
            self._due.clear()  # until the next tick
            return
        covered.low, covered.high = slice.low, slice.high
        if slice.ended and (slice.backward or covered.complete):
            covered.complete = True
            self._due.popleft()
        if not self._closed and self._due:
            self._loop.call_later(PAUSE, self._roll)

    # In the reader's thread.

    def _slice(self, covered: Covered, committed: int) -> Slice:
        """Forward to the newest that is stored, then back to the oldest, for as long as a slice may take."""
        source, low, high = covered.source, covered.low, covered.high
        shelf, wanted = self._log.shelf, frozenset(covered.source.topics).__contains__
        deadline = time.monotonic() + SLICE
        rows: dict[int, Row] = {}
        backward = high >= committed
        spans = shelf.spans(low) if backward else shelf.spans_after(high, committed)
        for span in spans:
            try:
                found = shelf.messages(span, wanted)
                messages = [m for m in found if (m.offset <= low if backward else m.offset > high)]
            except DamagedBlock:
                messages = []  # gone; a replay says so
            for minute, row in rows_by_minute(source, messages).items():
                before = rows.get(minute)
                if before is not None:
                    row = row.followed_by(before) if backward else before.followed_by(row)
                rows[minute] = row
            low, high = (span.first - 1, high) if backward else (low, span.last)
            if time.monotonic() > deadline:
                return Slice(low, high, rows, backward, ended=False)
        return Slice(low, max(high, committed), rows, backward, ended=True)
