"""A log in memory and in an SQLite file: what is recent is read from memory, the rest from disk.

Without `durable` a message is handed on at once and waits in memory until the next commit. With it every message is
handed on after its commit, in offset order; a commit is made as soon as the writer is free and something waits. A disk
that is full or broken never stops the stream: the log goes on in memory, says so, and heals by itself.
"""

import asyncio
import logging
import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.hub.log import EXPIRED, RESTART, Page, Recent, Selection, Sink
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.offsets import MACHINE_ID, RESERVE, Offsets
from gateway.logs.shelf import Shelf
from gateway.logs.store import Hole, Store, aside, boot_id, damaged, torn
from gateway.logs.worker import Done, Work, Worker

logger = logging.getLogger("gateway.history")

REMEMBERED = 65_535  # QoS 1 messages by which a repetition is known: as many as there are packet identifiers
RETRY = 5.0
START = 0.4  # seconds of reading back at the start
FLUSH = 1 << 20  # bytes that wait at most for the next commit
TRANSACTION = 1 << 22  # bytes stored in one transaction
STOP = 5.0

Durable = Callable[[], None]


class SqliteLog:
    """See Log. `open` comes first, `close` last; everything is called on the loop.

    `limit` and `age` bound the memory, `disk_limit` (bytes) and `disk_age` (seconds) the file at `path`; `commit` is in
    seconds. `folder` is where the offsets are reserved. `clock` is monotonic, `wall` Unix seconds; while `suspect` is
    set, age deletes nothing. `degraded` says why nothing is stored, "" while it is;
    `dropped` counts messages that never were, `stored` commits, `file_size` is in bytes.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        path: Path,
        folder: Path,
        limit: int,
        age: float,
        disk_limit: int,
        disk_age: float,
        commit: float,
        durable: bool,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        machine_id: Path = MACHINE_ID,
        boot: str | None = None,
        retry: float = RETRY,
    ) -> None:
        self.epoch = ""
        self.suspect = False
        self.degraded = ""
        self.dropped = 0
        self.stored = 0
        self.file_size = 0
        self.ring = Ring(limit=limit, age=age)
        self.writer = Worker("history-writer", loop.call_soon_threadsafe)
        self.reader = Worker("history-reader", loop.call_soon_threadsafe)
        self.shelf = Shelf(path)
        self.store = Store(path, limit=disk_limit, age=disk_age, boot=boot_id() if boot is None else boot)
        self._sink = sink
        self._path = path
        self._offsets = Offsets(folder, machine_id=machine_id)
        self._commit = commit
        self._durable = durable
        self._loop = loop
        self._clock = clock
        self._wall = wall
        self._retry = retry
        self._bound = max(limit // 4, 4 * FLUSH)
        self._flush_at = min(FLUSH, disk_limit // 16)
        # What is not on disk yet; in durable mode it is bounded by `busy`, otherwise the oldest go unwritten.
        self._unwritten = Ring(limit=float("inf") if durable else self._bound, age=float("inf"))
        self._waiting: deque[tuple[list[Message], int, Durable | None]] = deque()
        self._newest = 0
        self._given = 0
        self._committed = 0
        self._written = 0
        self._writing = False
        self._reserving = False
        self._restart_hole: Hole | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # Life.

    def open(self) -> Recent:
        """Take up where the last run ended. Blocks for what reading the newest blocks takes, at most about a second.

        Raises GatewayError where another gateway runs on the same state folder.
        """
        cut = torn(self._path)
        stored = 0
        failure: Exception | None = None
        try:
            self._offsets.lock()
            self._open_file()
            stored = self.store.last_stored()
        except (OSError, sqlite3.Error) as error:
            failure = error
        try:
            resumed = self._offsets.resume(stored, exact=self._durable)
        except OSError as error:
            failure = error
            self.epoch = secrets.token_hex(4)
            self._offsets.reserved = 1 << 62
            logger.warning("history: offsets cannot be reserved: %s; this run's offsets end with it", error)
        else:
            self.epoch = resumed.epoch
            self._given = self._newest = self._committed = self._written = resumed.newest
            if resumed.skipped is not None:
                # What was handed on was stored, unless the disk lost what it had promised to keep.
                self._restart_hole = Hole(*resumed.skipped, RESTART, resumed.exact and not cut)
        self.ring.clear(self._newest)
        self._unwritten.clear(self._newest)
        if failure is None:
            try:
                self._begin_file()
                return self.shelf.recent(START, REMEMBERED if self._durable else 0)
            except (OSError, sqlite3.Error) as error:
                failure = error
        self._degrade(failure)
        return Recent([], [])

    def close(self) -> None:
        """Store what waits, and end. Blocks for a few seconds at most; a second time it does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.reader.stop(STOP)
        self.shelf.close()
        if not self.writer.stop(STOP):
            logger.warning("history: the disk did not answer within %g s; what waited is lost", STOP)
            self._offsets.release()
            return
        self._committed = max(self._committed, self._written)
        while (chunk := self._chunk()) is not None:
            try:
                self._put(*chunk)
            except (OSError, sqlite3.Error) as error:
                logger.warning("history: the last messages were not stored: %s", error)
                break
            self._committed = self._written
        try:
            self.store.close()
            if self._committed == self._given and self._offsets.reserved < 1 << 62:
                self._offsets.stop(self._given)
        except (OSError, sqlite3.Error) as error:
            logger.warning("history: not closed cleanly: %s", error)
        self._offsets.release()

    # The way of a message.

    @property
    def newest(self) -> int:
        return self._newest

    @property
    def near(self) -> int:
        return self._memory().oldest - 1

    @property
    def busy(self) -> bool:
        return self._durable and not self.degraded and self._unwritten.size > self._bound

    def append(self, messages: list[Message], durable: Durable | None = None) -> None:
        offset, size = self._given, 0
        if offset + len(messages) > self._offsets.reserved - RESERVE // 2:
            self._reserve(offset + len(messages))
        for message in messages:
            offset += 1
            message.offset = offset
            size += len(message.payload)
        self._given = offset
        self._unwritten.append(messages, size, self._clock())
        if self._durable:
            self._waiting.append((messages, size, durable))
            if self.degraded:
                self._release(offset)
            else:
                self._flush()
            return
        self.ring.append(messages, size, self._clock())
        self._newest = offset
        self._sink(messages)
        if durable is not None:
            durable()
        if self._timer is None:
            self._timer = self._loop.call_later(self._commit, self._timed)
        elif self._unwritten.size > self._flush_at and not self.degraded:
            self._flush()

    def _release(self, until: int) -> None:
        """Hand on what waited for its commit."""
        waiting = self._waiting
        while waiting and waiting[0][0][-1].offset <= until:
            messages, size, durable = waiting.popleft()
            self.ring.append(messages, size, self._clock())
            self._newest = messages[-1].offset
            self._sink(messages)
            if durable is not None:
                durable()

    def _reserve(self, used: int) -> None:
        if used <= self._offsets.reserved:
            if not self._reserving:
                self._reserving = True
                self.writer.submit(partial(self._offsets.reserve, used, self.epoch), self._reserved)
            return
        try:
            self._offsets.reserve(used, self.epoch)
        except OSError as error:
            # Nobody can promise any more that these offsets will not be given again: they get another epoch.
            self.epoch = secrets.token_hex(4)
            self._offsets.reserved = used + RESERVE
            logger.warning("history: offsets cannot be reserved: %s; going on in epoch %s", error, self.epoch)

    def _reserved(self, result: object, failure: Exception | None) -> None:
        self._reserving = False  # where it failed, the block in use is tried once more when it is used up

    # Writing.

    def _timed(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        if self._writing or self._closed:
            return
        chunk = self._chunk()
        if chunk is not None:
            self._writing = True
            self.writer.submit(partial(self._put, *chunk), self._flushed)

    def _chunk(self) -> tuple[list[Message], list[Hole]] | None:
        """What to store next; None where nothing waits."""
        messages: list[Message] = []
        size = 0
        for page in self._unwritten.pages():
            if page[-1].offset > self._committed:
                fresh = page[0].offset > self._committed
                messages += page if fresh else [m for m in page if m.offset > self._committed]
                size += sum(len(m.payload) for m in page)
                if size > TRANSACTION:
                    break
        holes = []
        if messages and messages[0].offset > self._committed + 1:
            holes.append(Hole(self._committed + 1, messages[0].offset - 1, EXPIRED, False))
        return (messages, holes) if messages else None

    def _flushed(self, result: object, failure: Exception | None) -> None:
        self._writing = False
        if failure is not None:
            self._degrade(failure)
            return
        if self.degraded:
            logger.warning("history: stored on disk again")
            self.degraded = ""
            if self._durable:
                self._unwritten.limit = float("inf")
        self._committed = self._written
        self.stored = self.store.commits
        self._unwritten.drop_through(self._committed)
        if self._durable:
            self._release(self._committed)
            self._flush()
        elif self._unwritten.size > self._flush_at:
            self._flush()
        elif self._given > self._committed and self._timer is None:
            self._timer = self._loop.call_later(self._commit, self._timed)

    def _degrade(self, failure: Exception) -> None:
        """Go on in memory, and try again in a while."""
        if not self.degraded:
            logger.warning("history: nothing is stored on disk for now: %s: %s", self._path, failure)
        self.degraded = str(failure) or type(failure).__name__
        try:
            self._offsets.inexact()
        except OSError as error:
            logger.warning("history: a crash from here on would name too few messages as lost: %s", error)
        self._unwritten.limit = self._bound
        self._unwritten.expire(self._clock())
        self._release(self._given)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._retry, self._timed) if not self._closed else None

    # In the writer's thread (and at the start and the end, when there is none).

    def _put(self, messages: list[Message], holes: list[Hole]) -> None:
        try:
            self._put_into_file(messages, holes)
        except (OSError, sqlite3.Error) as error:
            if not damaged(error):
                # What keeps it from being written may have happened to the file as well: open it anew.
                self.store.drop()
                raise
            self._set_aside(error)
            self._put_into_file(messages, holes)
        self._written = messages[-1].offset
        self.dropped += sum(hole.last - hole.first + 1 for hole in holes)

    def _put_into_file(self, messages: list[Message], holes: list[Hole]) -> None:
        if self._offsets.reserved >= 1 << 62:
            raise OSError("its offsets are not reserved")
        if not self.store.is_open:
            self._open_file()
            self._begin_file()
        self.store.suspect = self.suspect
        before = self.store.last_stored()
        if before < self._committed:
            holes = [Hole(before + 1, self._committed, EXPIRED, False), *holes]
        self.store.write(messages, holes, self._clock())
        self.file_size = self.store.size

    def _open_file(self) -> None:
        try:
            self.store.open()
        except sqlite3.Error as error:
            if not damaged(error):
                raise
            self._set_aside(error)
            self.store.open()

    def _begin_file(self) -> None:
        self.store.begin_run(self._clock(), self._committed)
        self.file_size = self.store.size
        if self._restart_hole is not None:
            last = self.store.last_stored()
            hole, self._restart_hole = self._restart_hole, None
            if last < hole.last:
                self.store.write([], [hole._replace(first=last + 1)], self._clock())

    def _set_aside(self, error: Exception) -> None:
        self.store.drop()
        target = aside(self._path)
        logger.warning("history: %s is broken (%s): kept as %s, a new one is begun", self._path, error, target.name)

    # Reading.

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        until = min(until, self._newest)
        start = after + 1
        if start > until:
            take(Page([], max(until, after)))
            return
        memory = self._memory()
        if start >= memory.oldest:
            messages = memory.page(start, until)
            take(Page(messages, messages[-1].offset))
            return
        limit = min(until, memory.oldest - 1, self._committed)
        if start > limit:
            # Never stored, and pushed out of memory: the disk was out of reach for too long.
            end = min(until, memory.oldest - 1)
            take(Page([], end, (start, end)))
            return

        def done(page: Page | None, failure: Exception | None) -> None:
            if page is None:
                self._unreadable(failure)
                page = Page([], limit, (start, limit))
            take(page)

        self.on_shelf(partial(self.shelf.page, after, limit, wanted), done)

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        take(False)

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        memory = self._memory()
        oldest = memory.oldest - 1
        found = memory.before(self._clock() - age)
        if found is not None or self.degraded:
            take(oldest if found is None else min(found, self._newest))
            return

        def done(offset: int | None, failure: Exception | None) -> None:
            if failure is not None:
                self._unreadable(failure)
            take(oldest if offset is None else offset)

        wall = None if self.suspect else self._wall() - age
        self.on_shelf(partial(self.shelf.before, self.store.lived(self._clock()) - age, wall), done)

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        memory = self._memory()
        found, missing = memory.before_last(count, self._newest, wanted.wants)
        if not missing or self.degraded:
            take(found)
            return

        def look(missing: int, until: int) -> None:
            # A moment at a time: whoever looks for what is rare must not keep the others waiting.
            self.on_shelf(partial(self.shelf.before_last, missing, until, wanted), partial(looked, until))

        def looked(until: int, result: tuple[int, int, bool] | None, failure: Exception | None) -> None:
            if result is None:
                self._unreadable(failure)
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
            self.shelf.refresh()
            return work()

        self.reader.submit(read, done)

    @property
    def committed(self) -> int:
        """The newest offset that is on disk."""
        return self._committed

    def in_memory(self) -> tuple[list[list[Message]], int]:
        """The messages held in memory, in blocks, and the offset of the oldest."""
        memory = self._memory()
        return memory.pages(), memory.oldest

    def _memory(self) -> Ring:
        """Whichever of what is held in memory reaches further back."""
        return self._unwritten if self._unwritten.oldest < self.ring.oldest else self.ring

    def _unreadable(self, failure: Exception | None) -> None:
        logger.warning("history: %s cannot be read: %s", self._path, failure)
        if failure is not None and damaged(failure) and not self.degraded:
            broken = self.shelf.inode

            def set_aside() -> None:
                found = os.stat(self._path)
                if (found.st_dev, found.st_ino) == broken:
                    self._set_aside(failure)

            self.writer.submit(set_aside, lambda result, failure: None)
        self.reader.submit(self.shelf.close, lambda result, failure: None)
