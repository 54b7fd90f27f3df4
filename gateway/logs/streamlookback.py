"""Reading back what a shared log holds: what is recent from the window in memory, the rest from the stream."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from gateway.hub.log import BLOCK, Page, Selection
from gateway.hub.message import Message
from gateway.logs.ending import FAULT, Tasks, tell_fault
from gateway.logs.following import Record
from gateway.logs.intake import Intake
from gateway.logs.natsclient import NatsClient, Refusal, Unanswered
from gateway.logs.reading import Reader
from gateway.logs.stream import look_at

logger = logging.getLogger("gateway.history")

RETRY = 0.2
ATTEMPTS = 5  # before what nobody has counts as gone
REMEMBERED = 4096  # QoS 1 messages of the former holder by which a repetition is known
SCAN = 65_536  # records that are looked through for them at most
SEARCH = 1000  # records of a step back


class StreamLookback:
    """Reads `intake`'s window and the stream, as Log says.

    `first` is the oldest sequence that the stream held when somebody looked last. `clock` is the window's, `wall` Unix
    seconds.
    """

    def __init__(
        self,
        client: NatsClient,
        stream: str,
        *,
        intake: Intake,
        reader: Reader,
        tasks: Tasks,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.first = 0
        self._client = client
        self._stream = stream
        self._intake = intake
        self._ring = intake.ring
        self._reader = reader
        self._tasks = tasks
        self._clock = clock
        self._wall = wall

    # For viewers.

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        until = min(until, self._intake.newest)
        start = after + 1
        if start > until:
            take(Page([], max(until, after)))
            return
        if start >= self._ring.oldest:
            messages, reached = self._intake.page(start, until)
            take(Page(messages, reached))
            return
        self._tasks.begin(self._read(start, min(until, self._ring.oldest - 1), take), "log-read")

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        if offset <= self._intake.taken:
            take(True)
            return

        async def wait() -> None:
            state = await self._patiently(lambda: look_at(self._client, self._stream))
            if offset <= state.last:
                await self._intake.reached(offset)
            take(offset <= state.last)

        self._tasks.begin(wait(), "log-reach")

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        found = self._ring.before(self._clock() - age)
        if found is not None:
            take(min(found, self._intake.newest))
            return

        async def ask() -> None:
            offset = await self._patiently(lambda: self._reader.since(self._wall() - age))
            take(self._intake.newest if offset is None else min(offset - 1, self._intake.newest))

        self._tasks.begin(ask(), "log-read")

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        verdicts: dict[str, bool] = {"": False}

        def wants(topic: str) -> bool:
            verdict = verdicts.get(topic)
            if verdict is None:
                verdict = verdicts[topic] = wanted.wants(topic)
            return verdict

        found, missing = self._ring.before_last(count, self._intake.newest, wants)
        if not missing:
            take(found)
            return

        async def search() -> None:
            # By the last look it may seem to reach further back than it does, and the replay would begin with a gap.
            self.first = (await self._patiently(lambda: look_at(self._client, self._stream))).first
            left, last = missing, min(found, self._intake.newest)
            while last >= max(1, self.first):
                first = max(1, self.first, last - SEARCH + 1)
                for message in reversed(await self._between(first, last)):
                    if wants(message.topic):
                        left -= 1
                        if left <= 0:
                            take(message.offset - 1)
                            return
                last = first - 1
            take(last)

        self._tasks.begin(search(), "log-read")

    async def _read(self, start: int, limit: int, take: Callable[[Page], None]) -> None:
        take(await self._page(start, limit))

    async def _page(self, start: int, limit: int) -> Page:
        """One page out of the stream."""
        gone = Page([], limit, (start, limit))
        for attempt in count(1):
            records = await self._patiently(lambda: self._reader.page(start, min(BLOCK, limit - start + 1)))
            if records:
                # A server that has what comes later has all that there is.
                return self._page_of(records, start, limit) if records[0].offset <= limit else gone
            # The one that answered may not have the newest yet, and for a moment the leader neither.
            offset = await self._patiently(lambda: self._reader.next_after(start - 1))
            if attempt >= ATTEMPTS and (offset is None or offset > limit):
                break
            await asyncio.sleep(RETRY / 4)
        return gone

    def _page_of(self, records: list[Record], start: int, limit: int) -> Page:
        messages: list[Message] = []
        first = records[0].offset
        gone = (start, first - 1) if first > start else None
        reached = first - 1
        for record in records:
            if record.offset != reached + 1 or record.offset > limit:
                break  # what is missing here is named by the next page
            reached = record.offset
            message = self._intake.message(record)
            if message is not None:
                messages.append(message)
        return Page(messages, reached, gone)

    async def _between(self, first: int, last: int) -> list[Message]:
        """All messages of a range that there are."""
        found: list[Message] = []
        while first <= last:
            if first >= self._ring.oldest:
                if first > self._ring.newest:
                    break
                messages, reached = self._intake.page(first, last)
            else:
                page = await self._page(first, min(last, self._ring.oldest - 1))
                messages, reached = page.messages, page.reached
            found += messages
            first = reached + 1
        return found

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Ask the stream until it answers: a viewer's replay waits as long as NATS does."""
        while True:
            try:
                return await ask()
            except (Unanswered, Refusal) as error:
                logger.debug("history: not read back yet: %s", error)
                await asyncio.sleep(RETRY)
            except Exception as failure:
                tell_fault(failure)
                await asyncio.sleep(FAULT)

    # For the gateway itself.

    async def recent(self, upstream: str) -> list[Message]:
        """The newest QoS 1 messages of an upstream, oldest first, for as far as the stream goes back."""
        found: list[Message] = []
        last = self._intake.taken
        oldest = max(1, self.first, last - SCAN)
        while last >= oldest and len(found) < REMEMBERED:
            first = max(oldest, last - SEARCH + 1)
            step = [m for m in await self._between(first, last) if m.mid and m.upstream == upstream]
            found = step + found
            last = first - 1
        return found[-REMEMBERED:]

    async def numbers_of(self, topic: str, since: float, until: float, most: int) -> tuple[list[Message], bool]:
        """Messages of a topic older than the window, oldest first; whether these are all. Raises Unanswered."""
        first = await self._reader.since(since)
        oldest = self._ring.oldest
        expired = first is not None and 1 < first <= self.first
        found: list[Message] = []
        while first is not None and first < oldest and len(found) < most:
            records = await self._reader.page(first, SEARCH, self._intake.subject(topic))
            for record in records:
                message = self._intake.message(record) if record.offset < oldest and record.stored <= until else None
                if message is not None and message.topic == topic:
                    found.append(message)
            if not records or records[-1].offset >= oldest or records[-1].stored > until:
                return found, not expired
            first = records[-1].offset + 1
        return found, not expired and (first is None or first >= oldest)
