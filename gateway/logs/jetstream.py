"""A log that many gateways share: a JetStream stream, whose sequences are the offsets.

What is appended goes into the stream, and to the hub only when it comes back from it, in the order that is the same for
every gateway. The window in memory answers what is recent, the stream the rest.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from gateway.config import JetStream
from gateway.hub.log import BLOCK, Page, Recent, Selection, Sink
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.ending import ended
from gateway.logs.following import Follower, Record
from gateway.logs.intake import Callbacks, Intake
from gateway.logs.lease import Bucket
from gateway.logs.natsclient import NatsClient, Refusal, Unanswered
from gateway.logs.reading import Reader
from gateway.logs.records import Records
from gateway.logs.stream import StreamState, look_at, open_stream
from gateway.logs.turns import Begin, End, Holdings

logger = logging.getLogger("gateway.history")

LOOK = 0.5  # seconds between two looks at the stream
RETRY = 0.2
ATTEMPTS = 5  # before what nobody has counts as gone
SHORT = 5.0  # seconds for which a stream may look shorter than it was
REMEMBERED = 4096  # QoS 1 messages of the former holder by which a repetition is known
SCAN = 65_536  # records that are looked through for them at most
SEARCH = 1000  # records of a step back

Durable = Callable[[], None]


class JetStreamLog:
    """See Log and Turns. `begin` comes before `open`, `end` before `close`; everything is called on the loop.

    `limit` and `age` bound the window in memory, `last_values` the topics whose last value a start takes up. `busy`:
    the hub cannot take more. `upstream` names what devices publish to NATS themselves. `gap(upstream)` is told where
    messages were lost before the log, `gone(first, last)` where they were deleted before this gateway had them; `over`
    where the stream is another one by now: every offset would mean something else.
    """

    suspect = False

    def __init__(
        self,
        sink: Sink,
        *,
        settings: JetStream,
        name: str,
        limit: int,
        age: float,
        loop: asyncio.AbstractEventLoop,
        busy: Callable[[], bool] = lambda: False,
        upstream: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.epoch = ""
        self.gap: Callable[[str], None] = lambda upstream: None
        self.gone: Callable[[int, int], None] = lambda first, last: None
        self.over: Callable[[], None] = lambda: None
        self.client = NatsClient(settings, name=name, changed=self._connection_changed)
        self.ring = Ring(limit=limit, age=age)
        self._reader = Reader(self.client, settings.stream, loop=loop)
        self._settings = settings
        self._loop = loop
        self._clock = clock
        self._wall = wall
        records = self._records = Records(settings.prefix, upstream=upstream)
        callbacks = Callbacks(
            own=lambda id: self.holdings.came_back(id),
            began=lambda upstream, term: self.holdings.began(upstream, term),
            gap=lambda upstream: self.gap(upstream),
            gone=self._deleted,
        )
        self._subjects = records.held(settings.topics)
        self._intake = Intake(records, self.ring, sink, callbacks, clock=clock)
        self._follower = Follower(self.client, settings.stream, loop=loop, take=self._take, busy=busy)
        self._bucket = Bucket(self.client, f"{settings.stream}-leases", replicas=settings.replicas)
        self.holdings = Holdings(
            self.client,
            records,
            self._bucket,
            name=name,
            loop=loop,
            caught_up=self._caught_up,
            recent=self._recent,
        )
        self._recently: list[Message] = []
        self._looks: deque[tuple[float, int]] = deque()
        self._first = 0
        self._fault = "it was not asked yet"
        self._target: int | None = None
        self._short: tuple[float, int] | None = None  # since when the stream is shorter than what was handed on
        self._progress = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # Life.

    async def begin(self) -> None:
        """Connect, make or check the stream, and get the last values; however long NATS lets us wait.

        Raises GatewayError where the stream is not what the configuration says.
        """
        await self.client.connect()
        told = ""
        while True:
            try:
                state = await open_stream(self.client, self._settings, self._subjects)
                await self._bucket.open()
                found = await self._reader.last_of_every_subject()
                break
            except (Unanswered, Refusal) as error:
                if str(error) != told:
                    told = str(error)
                    logger.warning("history: the stream %s: %s; waiting for it", self._settings.stream, told)
                await asyncio.sleep(RETRY)
        self.epoch = state.epoch
        self._first = state.first
        self._intake.begin(state.last)
        held = [record for record in found if record.offset <= state.last]
        told_nobody: list[Callable[[], None]] = []
        messages = [self._intake.message(record, told_nobody) for record in held]
        self._recently = [message for message in messages if message is not None]
        logger.info(
            "history: the stream %s at offset %d, epoch %s, %d last values",
            self._settings.stream,
            state.last,
            state.epoch,
            len(self._recently),
        )

    def open(self) -> Recent:
        """Go on from where `begin` found the stream."""
        recent, self._recently = Recent(self._recently, []), []
        self._follower.start(self._intake.taken)
        self._spawn(self._watch(), "log-watch")
        return recent

    async def end(self) -> None:
        """Give back what is held, and end the connection."""
        await self.holdings.stop()
        await self._follower.stop()
        await ended(self._tasks)
        await self.client.close()

    def close(self) -> None:
        """All is kept elsewhere."""

    # The way of a message.

    @property
    def newest(self) -> int:
        return self._intake.newest

    @property
    def near(self) -> int:
        return self.ring.oldest - 1

    @property
    def busy(self) -> bool:
        return self.holdings.busy

    def append(self, messages: list[Message], durable: Durable | None = None) -> None:
        self.holdings.append(messages, durable)

    def campaign(self, upstream: str, begin: Begin, end: End) -> None:
        """See Turns."""
        self.holdings.campaign(upstream, begin, end)

    async def withdraw(self, upstream: str) -> None:
        """See Turns."""
        await self.holdings.withdraw(upstream)

    def tell_gap(self, upstream: str) -> None:
        """Tell every gateway that messages of an upstream that this one follows were lost."""
        self.holdings.gap(upstream)

    def call_unsigned(self, upstream: str) -> None:
        """From now on what devices publish to NATS themselves comes under the name of this upstream."""
        self._records.upstream = upstream

    # How it goes.

    @property
    def lag(self) -> tuple[int, float]:
        """How many records the stream holds that were not handed on yet, and for how many seconds there were any."""
        looks = self._looks
        while looks and looks[0][1] <= self._intake.taken:
            looks.popleft()
        if not looks:
            return 0, 0.0
        return looks[-1][1] - self._intake.taken, self._clock() - looks[0][0]

    @property
    def fault(self) -> str:
        """Why this gateway does not show what the stream holds, "" while it does."""
        if self._fault:
            return self._fault
        behind, since = self.lag
        return f"{behind} messages behind for {since:.1f} s" if since > self._settings.max_lag else ""

    def _take(self, records: list[Record]) -> None:
        self._intake.take(records)
        self.holdings.settle()
        self._progress.set()

    def _deleted(self, first: int, last: int) -> None:
        logger.warning("history: the offsets %d to %d were deleted before they came here", first, last)
        self.gone(first, last)

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            self._fault = "the connection to NATS is lost"
            self._target = None
        self._follower.again()

    async def _watch(self) -> None:
        """Look at the stream now and then: how far it is, and whether it is still the same."""
        while True:
            try:
                now, taken = self._clock(), self._intake.taken
                state = await look_at(self.client, self._settings.stream)
                await self._looked(state, now, taken)
            except (Unanswered, Refusal) as error:
                if not self._fault:
                    logger.warning("history: the stream %s: %s", self._settings.stream, error)
                self._fault = str(error)
                self._target = None
            await asyncio.sleep(LOOK)

    async def _looked(self, state: StreamState, now: float, taken: int) -> None:
        """`taken` is how far we were when the question was asked, at `now`."""
        self._first = state.first
        # A leader may know of less than what another server has handed on already: for a moment, not for long.
        self._short = (self._short or (now, taken)) if state.last < taken else None
        if self._short is not None and state.last >= self._short[1]:
            self._short = now, taken
        if state.epoch != self.epoch or (self._short is not None and now - self._short[0] > SHORT):
            # Offsets that viewers have would name other messages.
            self._fault = "the stream was made anew, or has lost messages"
            logger.critical("history: %s (%s): this gateway ends", self._fault, self._settings.stream)
            self.over()
            await asyncio.Event().wait()
        if state.last > self._intake.taken:
            self._looks.append((now, state.last))
        if self._fault and self._target is None:
            self._target = state.last  # reachable again; in order once this is handed on
        if self._target is not None and self._target <= self._intake.taken:
            self._target = None
            logger.info("history: caught up with the stream %s at offset %d", self._settings.stream, self.newest)
            self._fault = ""

    async def _caught_up(self) -> None:
        """Return once everything that the stream holds now has been handed on. Raises Unanswered, Refusal."""
        state = await look_at(self.client, self._settings.stream)
        await self._reach(state.last)

    async def _reach(self, offset: int) -> None:
        while self._intake.taken < offset:
            self._progress.clear()
            await self._progress.wait()

    async def _recent(self, upstream: str) -> list[Message]:
        """The newest QoS 1 messages of an upstream, oldest first, for as far as the stream goes back."""
        found: list[Message] = []
        last = self._intake.taken
        oldest = max(1, self._first, last - SCAN)
        while last >= oldest and len(found) < REMEMBERED:
            first = max(oldest, last - SEARCH + 1)
            step = [m for m in await self._between(first, last) if m.mid and m.upstream == upstream]
            found = step + found
            last = first - 1
        return found[-REMEMBERED:]

    # Reading.

    async def numbers_of(self, topic: str, since: float, until: float, most: int) -> tuple[list[Message], bool]:
        """Messages of a topic older than the window, oldest first; whether these are all. Raises Unanswered."""
        first = await self._reader.since(since)
        oldest = self.ring.oldest
        expired = first is not None and 1 < first <= self._first
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

    @property
    def oldest(self) -> int:
        """The oldest offset in memory."""
        return self.ring.oldest

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        until = min(until, self.newest)
        start = after + 1
        if start > until:
            take(Page([], max(until, after)))
            return
        if start >= self.ring.oldest:
            messages, reached = self._intake.page(start, until)
            take(Page(messages, reached))
            return
        self._spawn(self._read(start, min(until, self.ring.oldest - 1), take), "log-read")

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        if offset <= self._intake.taken:
            take(True)
            return

        async def wait() -> None:
            state = await self._patiently(lambda: look_at(self.client, self._settings.stream))
            if offset <= state.last:
                await self._reach(offset)
            take(offset <= state.last)

        self._spawn(wait(), "log-reach")

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        found = self.ring.before(self._clock() - age)
        if found is not None:
            take(min(found, self.newest))
            return

        async def ask() -> None:
            offset = await self._patiently(lambda: self._reader.since(self._wall() - age))
            take(self.newest if offset is None else min(offset - 1, self.newest))

        self._spawn(ask(), "log-read")

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        verdicts: dict[str, bool] = {"": False}

        def wants(topic: str) -> bool:
            verdict = verdicts.get(topic)
            if verdict is None:
                verdict = verdicts[topic] = wanted.wants(topic)
            return verdict

        found, missing = self.ring.before_last(count, self.newest, wants)
        if not missing:
            take(found)
            return

        async def search() -> None:
            # By the last look it may seem to reach further back than it does, and the replay would begin with a gap.
            self._first = (await self._patiently(lambda: look_at(self.client, self._settings.stream))).first
            left, last = missing, min(found, self.newest)
            while last >= max(1, self._first):
                first = max(1, self._first, last - SEARCH + 1)
                for message in reversed(await self._between(first, last)):
                    if wants(message.topic):
                        left -= 1
                        if left <= 0:
                            take(message.offset - 1)
                            return
                last = first - 1
            take(last)

        self._spawn(search(), "log-read")

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
            if first >= self.ring.oldest:
                if first > self.ring.newest:
                    break
                messages, reached = self._intake.page(first, last)
            else:
                page = await self._page(first, min(last, self.ring.oldest - 1))
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

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            logger.error("history: a fault in the gateway", exc_info=failure)
