"""What replays and a start ask of the history file: pages, where to begin, the last values. Used by one thread."""

import time

from gateway.hub.log import BLOCK, EXPIRED, Page, Recent, Selection
from gateway.hub.message import Message
from gateway.logs.blocks import DamagedBlock
from gateway.logs.shelf import Shelf, Span

PAGE_BYTES = 256 * 1024
SCAN = 0.05  # seconds after which a search for wanted topics answers with what it has


class DiskPages:
    """Reads from `shelf`. Everything raises OSError, sqlite3.Error where the file cannot be read."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        # The last block that was wanted, by the opening and its offsets: a replay takes several pages out of each.
        self._held: tuple[int, int, int] | None = None
        self._held_messages: list[Message] = []

    def page(self, after: int, until: int, wanted: Selection) -> Page:
        """The next page of (after, until]; blocks without a wanted topic are passed over."""
        self._shelf.db.execute("BEGIN")  # blocks may be merged meanwhile: one view of them all
        try:
            return self._page(after, until, wanted)
        finally:
            self._shelf.db.execute("COMMIT")

    def _page(self, after: int, until: int, wanted: Selection) -> Page:
        verdicts: dict[str, bool] = {}
        deadline = time.monotonic() + SCAN
        start, gone = after + 1, None
        reason, empty = EXPIRED, False
        while start <= until:
            span = self._shelf.span_at(start)
            if span is None or span.first > start:
                if gone is not None or start > after + 1:
                    return Page([], start - 1, gone, reason, empty)
                end = min(until, span.first - 1 if span is not None else until)
                gone, reason, empty = self._shelf.hole(start, end)
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
        [(after,)] = self._shelf.db.execute("SELECT after FROM run ORDER BY id DESC LIMIT 1").fetchall() or [(0,)]
        where, values = "lived >= ?", [lived]
        if wall is not None:
            where += " AND (first > ? OR until IS NULL OR until >= ?)"
            values += [after, wall]
        query = f"SELECT first, last, since, until, lived FROM span WHERE {where} ORDER BY first LIMIT 1"
        row = self._shelf.db.execute(query, values).fetchone()
        if row is None:
            return None
        span, until = Span(*row[:4]), row[3]
        # A block of a quiet box spans hours: how long before its end a message came tells its timestamp.
        if until is not None:
            try:
                for message in self._shelf.messages(span, lambda topic: True):
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
        for span in self._shelf.spans(until):
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
        for span in self._shelf.spans(1 << 62):
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

    def _messages(self, span: Span, wanted: Selection | None, verdicts: dict[str, bool]) -> list[Message]:
        key = (self._shelf.openings, span.first, span.last)
        if self._held == key:
            messages = self._held_messages
            if wanted is None or any(self._verdict(m.topic, wanted, verdicts) for m in messages):
                return messages
            return []
        if wanted is None:
            return self._shelf.messages(span, lambda topic: True)
        messages = self._shelf.messages(span, lambda topic: self._verdict(topic, wanted, verdicts))
        if messages:
            self._held, self._held_messages = key, messages
        return messages

    def _verdict(self, topic: str, wanted: Selection, verdicts: dict[str, bool]) -> bool:
        verdict = verdicts.get(topic)
        if verdict is None:
            if len(verdicts) > 65_536:
                verdicts.clear()
            verdict = verdicts[topic] = wanted.wants(topic)
        return verdict


def _bounded(messages: list[Message]) -> tuple[list[Message], int]:
    """As many as fit into a page's bytes, at least one, and the offset of the last."""
    size = 0
    for number, message in enumerate(messages):
        size += len(message.payload)
        if size > PAGE_BYTES and number:
            return messages[:number], messages[number - 1].offset
    return messages, messages[-1].offset
