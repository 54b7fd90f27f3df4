"""The reading side of the history file: where blocks lie, what is in them, holes, series. Used by one thread."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from gateway.hub.log import EXPIRED
from gateway.hub.message import Message
from gateway.logs.blocks import DamagedBlock, topics_of, unpack
from gateway.logs.historyfile import BUSY, MinuteRow


class Span(NamedTuple):
    """A block's place: its offsets, and the Unix times of its oldest and newest message (None without any)."""

    first: int
    last: int
    since: float | None
    until: float | None


class Shelf:
    """Reads one history file. `openings` counts how often it was opened: what was read before may be another's."""

    def __init__(self, path: Path) -> None:
        self.openings = 0
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0, 0

    @property
    def db(self) -> sqlite3.Connection:
        if self._connection is None:
            self.openings += 1
            place = f"file:{quote(str(self._path))}?mode=rw"  # `?`, `#` and `%` would mean something else
            self._connection = sqlite3.connect(
                place, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("PRAGMA cache_size = -512")
        return self._connection

    @property
    def inode(self) -> tuple[int, int]:
        """Which file is open."""
        return self._inode

    def refresh(self) -> None:
        """Let go of a file that is no longer the one of that name: a broken one was moved aside. Raises OSError."""
        found = os.stat(self._path)
        if self._connection is not None and self._inode != (found.st_dev, found.st_ino):
            self.close()
        self._inode = found.st_dev, found.st_ino

    def close(self) -> None:
        """Let go of the file; the next read opens it anew."""
        db, self._connection = self._connection, None
        if db is not None:
            db.close()

    def spans(self, until: int, since: float | None = None, before: float | None = None) -> Iterator[Span]:
        """Spans that begin at or below offset `until`, newest first; with times, those that overlap them."""
        where, values = "first <= ?", [until]
        if since is not None and before is not None:
            where += " AND until >= ? AND since <= ?"
            values += [since, before]  # type: ignore[list-item]
        query = f"SELECT first, last, since, until FROM span WHERE {where} ORDER BY first DESC"
        for row in self.db.execute(query, values):
            yield Span(*row)

    def spans_after(self, after: int, until: int) -> Iterator[Span]:
        """Spans that hold offsets of (after, until], oldest first."""
        query = (
            "SELECT first, last, since, until FROM span"
            " WHERE first >= coalesce((SELECT max(first) FROM span WHERE first <= ?), 0) AND last > ? AND first <= ?"
            " ORDER BY first"
        )
        for row in self.db.execute(query, (after, after, until)):
            yield Span(*row)

    def oldest(self) -> Span | None:
        """The oldest block's place."""
        row = self.db.execute("SELECT first, last, since, until FROM span ORDER BY first LIMIT 1").fetchone()
        return Span(*row) if row is not None else None

    def lacks(self, since: float, until: float) -> bool:
        """Whether messages between two Unix times were never stored, or are stored no more."""
        first = self.oldest()
        if first is None:
            return False
        if first.first > 1 and first.since is not None and first.since > since:
            return True
        query = "SELECT min(first), max(last) FROM span WHERE until >= ? AND since <= ?"
        low, high = self.db.execute(query, (since, until)).fetchone()
        if low is None:
            return False
        query = "SELECT count(*) FROM hole WHERE reason = ? AND NOT empty AND last >= ? AND first <= ?"
        [(holes,)] = self.db.execute(query, (EXPIRED, low, high))
        return bool(holes)

    def messages(self, span: Span, wanted: Callable[[str], bool]) -> list[Message]:
        """A block's messages; none where it has no wanted topic. Raises DamagedBlock."""
        row = self.db.execute("SELECT topics FROM block WHERE first = ?", (span.first,)).fetchone()
        if row is None:
            raise DamagedBlock(f"block {span.first} is missing")
        topics = topics_of(row[0])
        if not any(wanted(topic) for topic in topics):
            return []
        row = self.db.execute("SELECT body FROM block WHERE first = ?", (span.first,)).fetchone()
        if row is None:
            raise DamagedBlock(f"block {span.first} is missing")
        return unpack(span.first, topics, row[0])

    def series(self) -> dict[str, tuple[int, int]]:
        """The series that have minute rows, each with the offsets that it covers."""
        return {name: (low, high) for name, low, high in self.db.execute("SELECT name, low, high FROM series")}

    def minutes(self, series: str, since: float, until: float) -> list[MinuteRow]:
        """The minute rows of a series whose minutes touch a span of Unix times."""
        query = (
            "SELECT minute, at, min, max, last, samples FROM minute"
            " WHERE series = (SELECT id FROM series WHERE name = ?) AND minute BETWEEN ? AND ? ORDER BY minute"
        )
        return [MinuteRow(*row) for row in self.db.execute(query, (series, int(since // 60), int(until // 60)))]

    def span_at(self, offset: int) -> Span | None:
        """The span that holds `offset`, else the next one."""
        query = "SELECT first, last, since, until FROM span WHERE first <= ? ORDER BY first DESC LIMIT 1"
        row = self.db.execute(query, (offset,)).fetchone()
        if row is not None and row[1] >= offset:
            return Span(*row)
        query = "SELECT first, last, since, until FROM span WHERE first > ? ORDER BY first LIMIT 1"
        row = self.db.execute(query, (offset,)).fetchone()
        return Span(*row) if row is not None else None

    def hole(self, first: int, last: int) -> tuple[tuple[int, int], str, bool]:
        """The first stretch of one reason within offsets that no block has; its reason, and whether it is empty."""
        query = "SELECT first, last, reason, empty FROM hole WHERE last >= ? AND first <= ? ORDER BY first LIMIT 1"
        row = self.db.execute(query, (first, last)).fetchone()
        if row is None:
            return (first, last), EXPIRED, False
        if row[0] > first:
            return (first, row[0] - 1), EXPIRED, False
        return (first, min(last, row[1])), row[2], bool(row[3])
