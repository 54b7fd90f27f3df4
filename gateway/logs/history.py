"""Answers what numbers were, out of a log: in a thread, within 200 ms, thinned for a chart.

Whatever was asked for once has its numbers merged by the minute from then on, back to the oldest message and forward
with the stream; ranges above an hour are answered from those rows.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.series import Buckets, Query, Series, Source, path_source, rows_of
from gateway.logs.worker import Worker

logger = logging.getLogger("gateway.history")

LIMIT = 0.2  # seconds of a query
WAITING = 64  # queries that may wait
LONG = 3600.0  # seconds above which rows by the minute answer
SLICE = 0.05  # seconds of merging by the minute at a time
PAUSE = 0.1  # seconds between two such slices
EVERY = 60.0  # seconds between two looks at what has to be merged
MOST = 200  # series

Revive = Callable[[str], Source | None]


def revive_path(name: str) -> Source | None:
    """The source behind the name of a series of an earlier run."""
    kind, *rest = msgspec.json.decode(name)
    return path_source(*rest) if kind == "path" else None


class MemoryHistory:
    """Series out of a memory log."""

    def __init__(self, log: MemoryLog, *, loop: asyncio.AbstractEventLoop) -> None:
        self.stored = log.ring.age
        self.reader = Worker("history-reader", loop.call_soon_threadsafe)
        self._log = log

    def query(self, query: Query, done: Callable[[Series], None]) -> bool:
        if self.reader.waiting >= WAITING:
            return False
        pages = self._log.ring.pages()
        self.reader.submit(partial(from_memory, query, pages, self._log.oldest > 1), partial(answered, done))
        return True

    def start(self) -> None:
        """Nothing is kept over a restart."""

    def close(self) -> None:
        """End the thread."""
        self.reader.stop(1.0)


def from_memory(query: Query, pages: list[list[Message]], expired: bool) -> Series:
    """A query's rows out of blocks of messages, oldest first; `expired`: there were older ones."""
    buckets = Buckets(query.since, query.until, query.points)
    in_time = fill(buckets, query, reversed(pages), time.monotonic() + LIMIT)
    oldest = next((m.timestamp for page in pages for m in page if m.timestamp is not None), None)
    gone = expired and (oldest is None or oldest > query.since)
    return Series(buckets.rows(), in_time and not gone)


def fill(buckets: Buckets, query: Query, newest_first: Iterable[list[Message]], deadline: float) -> bool:
    """Put the numbers of messages into buckets, from the newest block back; False where time ran out."""
    for messages in newest_first:
        for row in reversed(rows_of(query.source, messages, query.since, query.until)):
            buckets.put(row, earlier=True)
        if time.monotonic() > deadline:
            return False
    return True


def answered(done: Callable[[Series], None], series: Series | None, failure: Exception | None) -> None:
    """Hand a thread's answer to whoever asked."""
    if failure is not None:
        logger.warning("history: a query was not answered: %s", failure)
    done(series if series is not None else Series([], False))
