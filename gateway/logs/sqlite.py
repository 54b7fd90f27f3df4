"""A log in memory and in an SQLite file: what is recent is read from memory, the rest from disk.

Without `durable` a message is handed on at once and waits in memory until the next commit. With it every message is
handed on after its commit, in offset order; a commit is made as soon as the writer is free and something waits. A disk
that is full, broken or does not answer never stops the stream: the log goes on in memory, says so, and heals by itself.
The loop waits for a disk at the start and at the end alone, and for no longer than it may.
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
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.hub.log import RESTART, Page, Recent, Selection, Sink
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.backlog import Backlog
from gateway.logs.gate import Gate
from gateway.logs.historyfile import Hole, boot_id, torn
from gateway.logs.keeper import Keeper, Written
from gateway.logs.lookback import Lookback
from gateway.logs.offsets import MACHINE_ID, WITHOUT_END, Offsets, Resumed
from gateway.logs.reserve import Reserve
from gateway.logs.store import Store
from gateway.logs.worker import PATIENCE, Done, Unanswered, Work, Worker

logger = logging.getLogger("gateway.history")

REMEMBERED = 65_535  # QoS 1 messages by which a repetition is known: as many as there are packet identifiers
RETRY = 5.0  # seconds
START = 0.4  # seconds of reading back at the start
FLUSH = 1 << 20  # bytes that wait at most for the next commit
BEGIN = 20.0  # seconds that a disk has at the start
STOP = 5.0  # seconds that it has at the end
RATE_BITS = 20  # of offsets a second: so many that nobody gives them. Until 2242 they are exact in JavaScript, too

Durable = Callable[[], None]


class Begun(NamedTuple):
    """What a start found: the failure of the file, and how the offsets go on, unless they could not be reserved."""

    failure: Exception | None
    resumed: Resumed | None = None


class SqliteLog:
    """See Log. `open` comes first, `close` last; everything is called on the loop.

    `limit` and `age` bound the memory, `disk_limit` (bytes) and `disk_age` (seconds) the file at `path`; `commit` is in
    seconds. `folder` is where the offsets are reserved. `clock` is monotonic, `wall` Unix seconds; while `suspect` is
    set, age deletes nothing. `degraded` says why nothing is stored, "" while it is; `retry` seconds later it is tried
    again. `dropped` counts messages that never were, `stored` commits, `file_size` is in bytes, and so is `free`: what
    may still be written where the file is, None where that cannot be told. `parted` is called when `epoch` has become
    another one. A disk that has not answered for `patience` seconds counts as one that fails.
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
        patience: float = PATIENCE,
        parted: Callable[[], None] = lambda: None,
    ) -> None:
        self.epoch = ""
        self.suspect = False
        self.degraded = ""
        self.dropped = 0
        self.stored = 0
        self.file_size = 0
        self.ring = Ring(limit=limit, age=age)
        hand_back, later = loop.call_soon_threadsafe, loop.call_later
        self.writer = Worker("history-writer", hand_back, later=later, patience=patience)
        self.writer.hangs = self._hangs
        self.reader = Worker("history-reader", hand_back, later=later, patience=patience, gives_up=True)
        gate = Gate()
        self.store = Store(path, limit=disk_limit, age=disk_age, boot=boot_id() if boot is None else boot, gate=gate)
        self._sink = sink
        self._path = path
        self._offsets = Offsets(folder, machine_id=machine_id)
        self._reserve = Reserve(self._offsets, hand_back=hand_back, later=later, parted=self._part, clock=clock)
        self.reserver = self._reserve.worker
        self._begun: Begun | None = None  # by the writer's thread
        self._former: dict[str, int] = {}
        self._parted = parted
        self._commit = commit
        self._durable = durable
        self._loop = loop
        self._clock = clock
        self._wall = wall
        self._retry = retry
        self._flush_at = min(FLUSH, disk_limit // 16)
        # With `durable` it is `busy` that bounds it, while there is a disk.
        self._backlog = Backlog(limit=max(limit // 4, 4 * FLUSH), bounded=not durable)
        self._keeper = Keeper(path, self.store, clock=clock)
        self._lookback = Lookback(
            path, ring=self.ring, backlog=self._backlog, reader=self.reader, gate=gate, broken=self._broken
        )
        self.shelf = self._lookback.shelf
        self._waiting: deque[tuple[list[Message], int, Durable | None]] = deque()
        self._written = Written(0, 0, 0)  # by the writer's thread
        self._writing = False
        self._exact = durable
        self._free: int | None = None
        self._looking = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # Life.

    def open(self) -> Recent:
        """Take up where the last run ended. Blocks for what reading the newest blocks takes, about a second at most.

        A disk that does not answer has 20 s. Where offsets cannot be reserved the run goes on in memory, in an epoch
        of its own, and above all offsets of before: once they can be, history goes on with them.

        Raises GatewayError where another gateway runs on the same state folder.
        """
        try:
            begun: Begun = self.writer.wait(self._begin, BEGIN)
        except Unanswered as error:
            begun = Begun(error)
        failure, resumed = begun.failure, begun.resumed
        if resumed is None:
            newest = int(self._wall()) << RATE_BITS
            self._keeper.begin_late, self._exact = partial(self._begin_late, newest), False
            self._reserve.begin(secrets.token_hex(4), newest, WITHOUT_END)
            logger.warning("history: offsets cannot be reserved: %s; this run begins with an epoch of its own", failure)
        else:
            newest = resumed.newest
            self._reserve.begin(resumed.epoch, newest, self._offsets.reserved)
        self._backlog.begin(newest)
        self.ring.clear(newest)
        self.epoch = self._reserve.epoch
        if failure is None:
            try:
                return self.reader.wait(self._recent, BEGIN)  # type: ignore[no-any-return]
            except (OSError, sqlite3.Error, Unanswered) as error:
                self._lookback.unreadable(error)
        else:
            self._degrade(failure)
        return Recent([], [])

    def _begin(self) -> Begun:
        """In the writer's thread. Raises GatewayError where another gateway has the folder."""
        cut = torn(self._path)
        stored = 0
        failure: Exception | None = None
        try:
            self._offsets.lock()
            stored = self._keeper.open()
        except (OSError, sqlite3.Error) as error:
            failure = error
        try:
            resumed = self._offsets.resume(stored, exact=self._durable)
        except OSError as error:
            self.store.drop()
            return Begun(error)
        if resumed.skipped is not None:
            # What was handed on was stored, unless the disk lost what it had promised to keep.
            self._keeper.restart = Hole(*resumed.skipped, RESTART, resumed.exact and not cut)
        if failure is None:
            try:
                self.file_size = self._keeper.begin(resumed.newest)
            except (OSError, sqlite3.Error) as error:
                failure = error
        if failure is not None:
            # Open, but not begun: the next attempt shall do all of it.
            self.store.drop()
        self._look_around()
        self._begun = Begun(failure, resumed)
        return self._begun

    def _begin_late(self, newest: int) -> int:
        """In the writer's thread, for a run whose offsets come after `newest`: what the start could not do.

        Raises OSError where it still cannot be done, GatewayError where another gateway has the folder by now.
        """
        begun = self._begun or self._begin()
        if begun.resumed is None:
            raise begun.failure or OSError("offsets cannot be reserved")
        if begun.resumed.newest >= newest:
            raise OSError("the clock was wrong at the start, history goes on with the next one")
        return newest

    def _recent(self) -> Recent:
        """In the reader's thread. Raises OSError, sqlite3.Error."""
        self.shelf.refresh()
        return self._lookback.pages.recent(START, REMEMBERED if self._durable else 0)

    def close(self, seconds: float = STOP) -> None:
        """Store what waits, and end. Blocks for `seconds` at most; a second time it does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        deadline = time.monotonic() + seconds
        # Each file is closed by its thread: a disk that hangs would have us wait for it.
        self.reader.submit(self.shelf.close, lambda result, failure: None)
        self.reader.stop(seconds / 4)
        self.reserver.stop(seconds / 4)
        self.writer.submit(self._end, lambda result, failure: None)
        if not self.writer.stop(deadline - time.monotonic()):
            logger.warning("history: the disk did not answer within %g s; what waited is lost", seconds)

    def _end(self) -> None:
        """In the writer's thread, as the last thing: the loop waits for it."""
        backlog = self._backlog
        # The thread's last answer never came: what it has stored must not be stored again.
        backlog.stored(max(backlog.committed, self._written.until))
        while (chunk := backlog.next_chunk()) is not None:
            try:
                backlog.stored(self._put(*chunk, backlog.committed, self.suspect).until)
            except (OSError, sqlite3.Error, GatewayError) as error:
                logger.warning("history: the last messages were not stored: %s", error)
                break
        try:
            self.store.close()
            if not backlog.waits and self._keeper.begin_late is None:
                self._offsets.stop(backlog.given, self.epoch)
        except (OSError, sqlite3.Error) as error:
            logger.warning("history: not closed cleanly: %s", error)
        self._offsets.release()

    @property
    def free(self) -> int | None:
        """As it was when it was last asked for; see the class."""
        if not self._looking and not self._closed:
            self._looking = True
            self.reader.submit(self._look_around, self._looked)
        return self._free

    def _look_around(self) -> None:
        """In a thread: a file system over a network has to ask for it (statvfs(3))."""
        try:
            found = os.statvfs(self._path.parent)
        except OSError:
            self._free = None
        else:
            self._free = found.f_bavail * found.f_frsize

    def _looked(self, result: object, failure: Exception | None) -> None:
        self._looking = False

    # The way of a message.

    @property
    def newest(self) -> int:
        return self.ring.newest

    @property
    def near(self) -> int:
        return self._lookback.memory.oldest - 1

    @property
    def busy(self) -> bool:
        return self._durable and not self.degraded and self._backlog.full

    def append(self, messages: list[Message], durable: Durable | None = None) -> None:
        offset, size = self._backlog.given, 0
        if offset + len(messages) > self._reserve.ask_at:
            self._reserve.ask(offset + len(messages))
        for message in messages:
            offset += 1
            message.offset = offset
            size += len(message.payload)
        self._backlog.append(messages, size, self._clock())
        if not self._durable:
            self._hand_on(messages, size, durable)
        else:
            self._waiting.append((messages, size, durable))
            if self.degraded and not self._exact:
                self._release(offset)
        self._store_soon()

    def _hand_on(self, messages: list[Message], size: int, durable: Durable | None) -> None:
        self.ring.append(messages, size, self._clock())
        self._sink(messages)
        if durable is not None:
            durable()

    def _release(self, until: int) -> None:
        """Hand on what waited for its commit."""
        waiting = self._waiting
        while waiting and waiting[0][0][-1].offset <= until:
            self._hand_on(*waiting.popleft())

    def _part(self) -> None:
        self._former[self.epoch] = self.newest
        self.epoch = self._reserve.epoch
        self._exact = False
        self._parted()

    def names(self, epoch: str, offset: int) -> bool:
        return epoch == self.epoch or offset <= self._former.get(epoch, -1)

    # Writing.

    def _store_soon(self) -> None:
        """Have what waits stored when it is due: at the next commit, or where the disk failed, at the next attempt."""
        if not self.degraded and (self._durable or self._backlog.ring.size > self._flush_at):
            self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._retry if self.degraded else self._commit, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        if self._writing or self._closed:
            return
        chunk = self._backlog.next_chunk()
        if chunk is not None:
            self._writing = True
            self.writer.submit(partial(self._put, *chunk, self._backlog.committed, self.suspect), self._flushed)

    def _put(self, messages: list[Message], lost: list[Hole], committed: int, suspect: bool) -> Written:
        """In the writer's thread. Raises OSError, sqlite3.Error."""
        written = self._written = self._keeper.put(messages, lost, committed, suspect)
        self.dropped += written.dropped
        self.file_size = written.size
        return written

    def _flushed(self, written: Written | None, failure: Exception | None) -> None:
        self._writing = False
        if written is None:
            self._degrade(failure)
            return
        if self.degraded:
            logger.warning("history: stored on disk again")
            self.degraded = ""
            if self._durable:
                self._backlog.unbound()
        self._backlog.stored(written.until)
        self._reserve.settle(self._backlog.given)
        self.stored = self.store.commits
        if self._durable:
            self._release(written.until)
        if self._backlog.waits:
            self._store_soon()

    def _degrade(self, failure: Exception | None) -> None:
        """Go on in memory, and try again in a while."""
        if not self.degraded:
            logger.warning("history: nothing is stored on disk for now: %s: %s", self._path, failure)
        self.degraded = str(failure) or type(failure).__name__
        self._backlog.bound(self._clock())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._retry, self._timed) if not self._closed else None
        if self._exact:
            # Where a crash would have the next run say that nothing of this was handed on, it has to know better first.
            self._reserve.loosen(self._loosened)
        else:
            self._release(self._backlog.given)

    def _loosened(self) -> None:
        """What is not stored may be handed on."""
        self._exact = False
        if self.degraded:
            self._release(self._backlog.given)

    def _hangs(self) -> None:
        """The writer is stuck. Whatever it is at goes on, and heals all that it left when it is done."""
        self._degrade(Unanswered(self.writer.patience))

    # Reading.

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        self._lookback.read(after, until, wanted, take)

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        take(False)

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        now = self._clock()
        lived = None if self.degraded else self.store.lived(now)
        self._lookback.offset_before(age, take, now=now, lived=lived, wall=None if self.suspect else self._wall())

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        self._lookback.offset_of_last(count, wanted, take, in_reach=not self.degraded)

    def on_shelf(self, work: Work, done: Done) -> None:
        """Do a piece of reading in the reader's thread."""
        self._lookback.on_shelf(work, done)

    @property
    def committed(self) -> int:
        """The newest offset that is on disk."""
        return self._backlog.committed

    def in_memory(self) -> tuple[list[list[Message]], int]:
        """The messages held in memory, in blocks, and the offset of the oldest."""
        memory = self._lookback.memory
        return memory.pages(), memory.oldest

    def _broken(self, failure: Exception, file: tuple[int, int]) -> None:
        """A reader found the file damaged. Where nothing can be written it is no time to move it."""
        if not self.degraded:
            self.writer.submit(partial(self._keeper.set_aside_if, file, failure), lambda result, failure: None)
