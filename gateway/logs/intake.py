"""What comes back from the stream, on its way to the hub: offsets, the window in memory, and ended terms."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from gateway.hub.log import Sink
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.following import Record
from gateway.logs.records import Identity, Records, identity

KEPT_TERMS = 64


class Callbacks(NamedTuple):
    """What an intake tells.

    `own(identity)` gives the message that this gateway appended under it, where it did. `began(upstream, term)`: a term
    began in the stream; `gap(upstream)`: messages of it were lost, before they came here; `gone(first, last)`: these
    offsets were deleted before this gateway had them.
    """

    own: Callable[[Identity], Message | None]
    began: Callable[[str, int], None]
    gap: Callable[[str], None]
    gone: Callable[[int, int], None]


class Terms:
    """When the terms of the upstreams began, by offset. A message of an ended term is nobody's: whoever sent it had
    lost the lease, and the broker gave the message to the next holder."""

    def __init__(self) -> None:
        self._began: dict[str, list[tuple[int, int]]] = {}

    def begin(self, upstream: str, term: int, offset: int) -> None:
        began = self._began.setdefault(upstream, [])
        began.append((offset, term))
        del began[:-KEPT_TERMS]

    def ended(self, message: Identity, offset: int) -> bool:
        """Whether a later term had begun when this message came into the stream."""
        if not message.term:
            return False
        return any(at < offset and term > message.term for at, term in self._began.get(message.upstream, ()))


class Intake:
    """Hands on to `sink` what records hold, and keeps it in `ring`.

    `newest` is the offset of the newest message handed on, `taken` that of the newest record. Records that are no
    message of a topic have an offset too; in the ring they are messages without a topic, which `page` leaves out.
    """

    def __init__(
        self, records: Records, ring: Ring, sink: Sink, callbacks: Callbacks, *, clock: Callable[[], float]
    ) -> None:
        self.newest = 0
        self.taken = 0
        self.terms = Terms()
        self.ring = ring
        self._records = records
        self._sink = sink
        self._callbacks = callbacks
        self._clock = clock
        self._progress = asyncio.Event()

    def begin(self, offset: int) -> None:
        """Go on behind `offset`."""
        self.newest = self.taken = offset
        self.ring.clear(offset)

    def take(self, records: list[Record]) -> None:
        """Take in what the stream hands on, in its order."""
        kept: list[Message] = []
        handed: list[Message] = []
        size = 0
        told: list[Callable[[], None]] = []
        for record in records:
            if record.offset != self.taken + 1:
                self._hand(kept, handed, size)
                kept, handed, size = [], [], 0
                self._callbacks.gone(self.taken + 1, record.offset - 1)
                self.ring.clear(record.offset - 1)
            self.taken = record.offset
            message = self.message(record, told)
            if message is None:
                message = Message("", b"", None, "", offset=record.offset)
            else:
                handed.append(message)
            kept.append(message)
            size += len(message.payload)
            if told:
                self._hand(kept, handed, size)
                kept, handed, size = [], [], 0
                told.pop()()
        self._hand(kept, handed, size)
        self._progress.set()

    async def reached(self, offset: int) -> None:
        """Return once the record at `offset` was taken in."""
        while self.taken < offset:
            self._progress.clear()
            await self._progress.wait()

    def message(self, record: Record, told: list[Callable[[], None]] | None = None) -> Message | None:
        """The message of a record, None where it is none for viewers. `told`: the record is new; who is to hear of it
        once what came before is handed on."""
        id = identity(record.headers)
        if id is not None:
            if told is not None and (own := self._callbacks.own(id)) is not None:
                if self.terms.ended(id, record.offset):
                    return None
                own.offset = record.offset
                return own
            if self._told(record, id, told) or self.terms.ended(id, record.offset):
                return None
        return self._records.read(
            record.subject, record.payload, record.headers, offset=record.offset, stored=record.stored
        )

    def subject(self, topic: str) -> str:
        """The subject of a topic."""
        return self._records.subjects[topic]

    def page(self, first: int, until: int) -> tuple[list[Message], int]:
        """Messages of the ring from `first` on, which it holds, up to `until`, and the offset reached."""
        messages = self.ring.page(first, until)
        return [message for message in messages if message.topic], messages[-1].offset

    def _told(self, record: Record, id: Identity, told: list[Callable[[], None]] | None) -> bool:
        """Whether a record is one that gateways tell each other; who listens is told where it is new."""
        callbacks = self._callbacks
        if upstream := self._records.barrier_of(record.subject):
            if told is not None:
                self.terms.begin(upstream, id.term, record.offset)
                told.append(lambda: callbacks.began(upstream, id.term))
            return True
        if upstream := self._records.gap_of(record.subject):
            if told is not None and not self.terms.ended(id, record.offset):
                told.append(lambda: callbacks.gap(upstream))
            return True
        return False

    def _hand(self, kept: list[Message], handed: list[Message], size: int) -> None:
        if kept:
            self.ring.append(kept, size, self._clock())
        if handed:
            self.newest = handed[-1].offset
            self._sink(handed)
