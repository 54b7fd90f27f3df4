"""The reading side of the history file: pages for replays, and what a start takes up. Used by one thread."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.hub.log import BLOCK, EXPIRED, Page, Recent, Selection
from gateway.hub.message import Message
from gateway.logs.blocks import DamagedBlock, topics_of, unpack
from gateway.logs.store import BUSY, MinuteRow

PAGE_BYTES = 256 * 1024
SCAN = 0.05  # seconds after which a search for wanted topics answers with what it has


class Span(NamedTuple):
    """A block's place: its offsets, and the Unix times of its oldest and newest message (None without any)."""

    first: int
    last: int
    since: float | None
    until: float | None


class Shelf:
    """Reads one history file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0, 0
        self._held: tuple[int, list[Message]] | None = None

    @property
    def db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"file:{self._path}?mode=rw", uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False
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
        db, self._connection, self._held = self._connection, None, None
        if db is not None:
            db.close()

    def page(self, after: int, until: int, wanted: Selection) -> Page:
        """The next page of (after, until]; blocks without a wanted topic are passed over."""
        self.db.execute("BEGIN")  # blocks may be merged meanwhile: one view of them all
        try:
            return self._page(after, until, wanted)
        finally:
            self.db.execute("COMMIT")

    def _page(self, after: int, until: int, wanted: Selection) -> Page:
        verdicts: dict[str, bool] = {}
        deadline = time.monotonic() + SCAN
        start, gone = after + 1, None
        reason, empty = EXPIRED, False
        while start <= until:
            span = self._span_at(start)
            if span is None or span.first > start:
                if gone is not None or start > after + 1:
                    return Page([], start - 1, gone, reason, empty)
                end = min(until, span.first - 1 if span is not None else until)
                gone, reason, empty = self._hole(start, end)
                start = gone[1] + 1
                if start > until or (span is not None and span.first > start):
                    return Page([], gone[1], gone, reason, empty)
                continue
            try:
                messages = self._messages(span, wanted, verdicts)
            except DamagedBlock:
                if gone is not None or start > after + 1:
                    return Page([], start - 1, gone, reason, empty)
                return Page([], min(until, span.last), (start, min(until, span.last)), EXPIRED)
            if messages:
                part = messages[start - span.first : until - span.first + 1][:BLOCK]
                return Page(*_bounded(part), gone, reason, empty)
            start = min(until, span.last) + 1
            if time.monotonic() > deadline:
                break
        return Page([], min(start - 1, until), gone, reason, empty)

    def before(self, lived: float, wall: float | None) -> int | None:
        """The offset before what is younger than `lived`, None where nothing here is.

        `wall` (Unix seconds) rules as well for what an earlier boot left: the time that the box was off counts.
        """
        [(after,)] = self.db.execute("SELECT after FROM run ORDER BY id DESC LIMIT 1").fetchall() or [(0,)]
        where, values = "lived >= ?", [lived]
        if wall is not None:
            where += " AND (first > ? OR until IS NULL OR until >= ?)"
            values += [after, wall]
        query = f"SELECT first, last, since, until, lived FROM span WHERE {where} ORDER BY first LIMIT 1"
        row = self.db.execute(query, values).fetchone()
        if row is None:
            return None
        span, until = Span(*row[:4]), row[3]
        # A block of a quiet box spans hours: how long before its end a message came tells its timestamp.
        if until is not None:
            try:
                for message in self.messages(span, lambda topic: True):
                    if message.timestamp is not None and row[4] - (until - message.timestamp) >= lived:
                        return message.offset - 1
            except DamagedBlock:
                pass  # the replay itself will name it as gone
        return span.first - 1

    def before_last(self, count: int, until: int, wanted: Selection) -> tuple[int, int, bool]:
        """Look for the last `count` wanted messages up to `until`, for a moment.

        Returns the offset before the oldest that was looked at, how many are missing, and whether there are older ones.
        """
        verdicts: dict[str, bool] = {}
        deadline = time.monotonic() + SCAN
        looked = until
        for span in self.spans(until):
            looked = span.first - 1
            try:
                messages = self._messages(span, wanted, verdicts)
            except DamagedBlock:
                messages = []  # the replay itself will name it as gone
            for message in reversed(messages):
                if message.offset <= until and self._verdict(message.topic, wanted, verdicts):
                    count -= 1
                    if count <= 0:
                        return message.offset - 1, 0, False
            if time.monotonic() > deadline:
                return looked, count, True
        return looked, count, False

    def recent(self, seconds: float, acknowledged: int) -> Recent:
        """What a new run takes up, as much of it as is found within `seconds`."""
        last: dict[str, Message] = {}
        found: list[Message] = []
        deadline = time.monotonic() + seconds
        for span in self.spans(1 << 62):
            try:
                messages = self._messages(span, None, {})
            except DamagedBlock:
                continue  # older ones may still be whole
            for message in reversed(messages):
                last.setdefault(message.topic, message)
                if message.mid and len(found) < acknowledged:
                    found.append(message)
            if time.monotonic() > deadline:
                break
        found.reverse()
        return Recent(sorted(last.values(), key=lambda message: message.offset), found)

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

    def _messages(self, span: Span, wanted: Selection | None, verdicts: dict[str, bool]) -> list[Message]:
        if self._held is not None and self._held[0] == span.first and self._held[1][-1].offset == span.last:
            messages = self._held[1]
            if wanted is None or any(self._verdict(m.topic, wanted, verdicts) for m in messages):
                return messages
            return []
        if wanted is None:
            return self.messages(span, lambda topic: True)
        messages = self.messages(span, lambda topic: self._verdict(topic, wanted, verdicts))
        if messages:
            self._held = span.first, messages
        return messages

    def _verdict(self, topic: str, wanted: Selection, verdicts: dict[str, bool]) -> bool:
        verdict = verdicts.get(topic)
        if verdict is None:
            if len(verdicts) > 65_536:
                verdicts.clear()
            verdict = verdicts[topic] = wanted.wants(topic)
        return verdict

    def _span_at(self, offset: int) -> Span | None:
        """The span that holds `offset`, else the next one."""
        query = "SELECT first, last, since, until FROM span WHERE first <= ? ORDER BY first DESC LIMIT 1"
        row = self.db.execute(query, (offset,)).fetchone()
        if row is not None and row[1] >= offset:
            return Span(*row)
        query = "SELECT first, last, since, until FROM span WHERE first > ? ORDER BY first LIMIT 1"
        row = self.db.execute(query, (offset,)).fetchone()
        return Span(*row) if row is not None else None

    def _hole(self, first: int, last: int) -> tuple[tuple[int, int], str, bool]:
        """The first stretch of one reason within offsets that no block has."""
        query = "SELECT first, last, reason, empty FROM hole WHERE last >= ? AND first <= ? ORDER BY first LIMIT 1"
        row = self.db.execute(query, (first, last)).fetchone()
        if row is None:
            return (first, last), EXPIRED, False
        if row[0] > first:
            return (first, row[0] - 1), EXPIRED, False
        return (first, min(last, row[1])), row[2], bool(row[3])


def _bounded(messages: list[Message]) -> tuple[list[Message], int]:
    """As many as fit into a page's bytes, at least one, and the offset of the last."""
    size = 0
    for number, message in enumerate(messages):
        size += len(message.payload)
        if size > PAGE_BYTES and number:
            return messages[:number], messages[number - 1].offset
    return messages, messages[-1].offset
