"""Everything that writes to the SQLite file of the history. Used by one thread.

Messages lie in blocks; `span` is the small index of them by offset, `block` holds names of topics and bodies. Small
commits are merged into one block once they add up, so that the index stays small. `hole` names ranges of offsets that
no block has, `minute` the rows of series that a chart asked for.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.hub.message import Message
from gateway.hub.ring import BLOCK
from gateway.logs.blocks import Packed, pack
from gateway.logs.gate import Gate
from gateway.logs.historyfile import APPLICATION, BUSY, FRAME_HEADER, PAGE, SCHEMA, WAL_HEADER, Hole, MinuteRow, NotOurs

LARGEST = 2 * BLOCK  # messages of a block
SMALL = 64  # messages of a block that is worth merging with its neighbours
READERS = 1.0  # seconds to wait for those who read, who take 0.2 s at most
VACUUM = 256  # pages given back to the file system at a commit at most


class Store:
    """The writing side. `limit` in bytes, `age` in seconds that the gateway has lived; `gate` keeps readers off.

    Age is counted on the monotonic clock and within one boot: a step of the wall clock deletes nothing, and neither
    does the time that a box was off.
    """

    def __init__(self, path: Path, *, limit: int, age: float, boot: str, gate: Gate | None = None) -> None:
        self.path = path
        self.limit = limit
        self.age = age
        self.suspect = False
        self.written = 0
        self.commits = 0
        self._boot = boot
        self._gate = gate or Gate()
        self._lived = 0.0
        self._lived_at = 0.0
        self._tail: list[Message] = []
        self._tail_firsts: list[int] = []
        self._wal = max(16 * PAGE, min(4 * 1024**2, limit // 16))
        self._fold_at = 2 * self._wal
        self._connection: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The open file. Raises sqlite3.ProgrammingError where it is closed."""
        if self._connection is None:
            raise sqlite3.ProgrammingError("the history file is closed")
        return self._connection

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._connection is not None

    def open(self) -> None:
        """Open or make the file. Raises sqlite3.Error, OSError; `damaged` tells which mean that it is broken."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._connection = db
        self._tail, self._tail_firsts = [], []

    def _prepare(self, db: sqlite3.Connection) -> None:
        [(application,)] = db.execute("PRAGMA application_id")
        [(tables,)] = db.execute("SELECT count(*) FROM sqlite_master")
        if tables and application != APPLICATION:
            raise NotOurs("it is another program's database")
        if not tables:
            db.executescript(SCHEMA)
        db.execute("PRAGMA journal_mode = WAL")
        # Synced at every commit: they are rare, or they are what `durable` promises.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {self._wal // PAGE}")
        # SQLite cuts the log to this size once it has been read back: between two frames, or it would look `torn`.
        db.execute(f"PRAGMA journal_size_limit = {WAL_HEADER + self._wal // PAGE * (FRAME_HEADER + PAGE)}")
        db.execute("PRAGMA cache_size = -512")
        db.execute("PRAGMA secure_delete = OFF")

    def begin_run(self, now: float, after: int) -> None:
        """A new run of the gateway, at monotonic `now`, whose offsets come after `after`."""
        db = self.db
        last = db.execute("SELECT boot, monotonic, lived FROM run ORDER BY id DESC LIMIT 1").fetchone()
        seen = db.execute("SELECT lived FROM span ORDER BY first DESC LIMIT 1").fetchone()
        self._lived, self._lived_at = seen[0] if seen is not None else 0.0, now
        if last is not None:
            boot, monotonic, lived = last
            self._lived = max(self._lived, lived)
            if boot and boot == self._boot:
                self._lived = max(self._lived, lived + now - monotonic)
        with self._transaction():
            db.execute("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - 16")
            db.execute(
                "INSERT INTO run (boot, monotonic, lived, after) VALUES (?, ?, ?, ?)",
                (self._boot, now, self._lived, after),
            )

    def lived(self, now: float) -> float:
        """How long gateways have lived on this file, in seconds."""
        return self._lived + now - self._lived_at

    def last_stored(self) -> int:
        """The newest offset in a block or hole, 0 without any."""
        newest = 0
        for table in ("span", "hole"):
            row = self.db.execute(f"SELECT last FROM {table} ORDER BY first DESC LIMIT 1").fetchone()
            newest = max(newest, row[0] if row is not None else 0)
        return newest

    def write(self, messages: Sequence[Message], holes: Sequence[Hole], now: float) -> None:
        """Store messages and holes, and drop what is beyond the bounds, in one synced transaction."""
        lived = self.lived(now)
        tail, firsts = self._tail, self._tail_firsts
        self._tail, self._tail_firsts = [], []
        with self._transaction():
            db = self.db
            for hole in holes:
                db.execute("INSERT OR REPLACE INTO hole VALUES (?, ?, ?, ?)", hole)
            for run in runs(messages):
                if tail and (tail[-1].offset + 1 != run[0].offset or len(run) >= SMALL):
                    tail, firsts = [], []
                if len(run) >= SMALL:
                    self._insert(pack(run), lived)
                    continue
                tail, firsts = [*tail, *run], [*firsts, run[0].offset]
                if len(tail) < BLOCK:
                    self._insert(pack(run), lived)
                    continue
                for table in ("span", "block"):
                    db.executemany(f"DELETE FROM {table} WHERE first = ?", [(first,) for first in firsts[:-1]])
                self._insert(pack(tail), lived)
                tail, firsts = [], []
            self._expire(lived)
        self._tail, self._tail_firsts = tail, firsts
        self.commits += 1
        self._fold()

    def put_minutes(self, series: str, low: int, high: int, rows: Sequence[MinuteRow], *, backward: bool) -> None:
        """Merge rows into a series, which from now on covers the offsets after `low` up to `high`."""
        with self._transaction():
            db = self.db
            db.execute(
                "INSERT INTO series (name, low, high) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET low = excluded.low, high = excluded.high",
                (series, low, high),
            )
            [(id,)] = db.execute("SELECT id FROM series WHERE name = ?", (series,))
            newer = "" if backward else "last = excluded.last, at = excluded.at,"
            db.executemany(
                "INSERT INTO minute VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                f" {newer} min = min(min, excluded.min), max = max(max, excluded.max),"
                " samples = samples + excluded.samples",
                [(id, *row) for row in rows],
            )

    def forget_series(self, keep: int) -> None:
        """Keep the `keep` series that were last made."""
        with self._transaction():
            old = "(SELECT id FROM series ORDER BY id DESC LIMIT -1 OFFSET ?)"
            self.db.execute(f"DELETE FROM minute WHERE series IN {old}", (keep,))
            self.db.execute(f"DELETE FROM series WHERE id IN {old}", (keep,))

    @property
    def size(self) -> int:
        """Bytes of the file in use, without its write-ahead log."""
        [(pages,)] = self.db.execute("PRAGMA page_count")
        [(free,)] = self.db.execute("PRAGMA freelist_count")
        return int(pages - free) * PAGE

    def close(self) -> None:
        """Fold the write-ahead log into the file, and close it."""
        db, self._connection = self._connection, None
        if db is not None:
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass  # what is in the write-ahead log is as safe as in the file
            db.close()

    def drop(self) -> None:
        """Let go of a file that is broken or out of reach."""
        db, self._connection = self._connection, None
        if db is not None:
            db.close()

    def _insert(self, block: Packed, lived: float) -> None:
        size = len(block.body) + len(block.topics)
        since = block.since if block.since <= block.until else None
        until = block.until if block.since <= block.until else None
        self.db.execute(
            "INSERT INTO span VALUES (?, ?, ?, ?, ?, ?)", (block.first, block.last, since, until, lived, size)
        )
        self.db.execute("INSERT INTO block VALUES (?, ?, ?)", (block.first, block.topics, block.body))
        self.written += size

    def _expire(self, lived: float) -> None:
        """Drop the oldest blocks: those past the age, and enough that the file stays within its bound."""
        db = self.db
        upto = 0
        if not self.suspect:
            oldest = db.execute("SELECT lived FROM span ORDER BY first LIMIT 1").fetchone()
            if oldest is not None and oldest[0] < lived - self.age:
                query = "SELECT first FROM span WHERE lived >= ? ORDER BY first LIMIT 1"
                young = db.execute(query, (lived - self.age,)).fetchone()
                upto = young[0] - 1 if young is not None else self.last_stored()
        over = self.size - (self.limit - 2 * self._wal)
        if over > 0:
            # A part more than needed, so that this happens now and then instead of at every commit.
            over += self.limit // 64
            for last, size in db.execute("SELECT last, size FROM span ORDER BY first"):
                if over <= 0:
                    break
                upto = max(upto, last)
                over -= size + 64
        if upto:
            for table in ("block", "span"):
                db.execute(f"DELETE FROM {table} WHERE first <= ?", (upto,))
            db.execute("DELETE FROM hole WHERE last <= ?", (upto,))
            [(since,)] = db.execute("SELECT min(since) FROM span")
            if since is not None:
                db.execute("DELETE FROM minute WHERE minute < ?", (int(since // 60),))
        self._shrink()

    def _fold(self) -> None:
        """Have the write-ahead log read back whole where it has outgrown its part of the limit.

        SQLite does so by itself only in a moment in which nobody reads, and there may be none for hours.
        """
        size = os.stat(f"{self.path}-wal").st_size
        if size <= self._fold_at:
            return
        folded = False
        with self._gate.alone(READERS) as alone:
            if alone:
                # Another process may be copying all of it: no commit shall wait for that.
                self.db.execute("PRAGMA busy_timeout = 0")
                [(busy, _, _)] = self.db.execute("PRAGMA wal_checkpoint(RESTART)")
                self.db.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
                folded = not busy
        self._fold_at = 2 * self._wal if folded else size + self._wal

    def _shrink(self) -> None:
        """Give pages back to the file system where the file is larger than it may be: its limit was lowered."""
        db = self.db
        [(pages,)] = db.execute("PRAGMA page_count")
        [(free,)] = db.execute("PRAGMA freelist_count")
        # Each step of this statement is a row without a column, of which Python fetches one and no more.
        for _ in range(min(VACUUM, free, pages - self.limit // PAGE)):
            db.execute("PRAGMA incremental_vacuum(1)")

    def _transaction(self) -> "_Transaction":
        return _Transaction(self.db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # SQLite has rolled back by itself, as it does on a full disk


def runs(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Cut into runs of consecutive offsets, of at most LARGEST messages and about a megabyte."""
    run: list[Message] = []
    size = 0
    for message in messages:
        if run and (message.offset != run[-1].offset + 1 or len(run) >= LARGEST or size > 1 << 20):
            yield run
            run, size = [], 0
        run.append(message)
        size += len(message.payload)
    if run:
        yield run
