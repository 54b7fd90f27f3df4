"""A log that many gateways share: a JetStream stream, whose sequences are the offsets.

What is appended goes into the stream, and to the hub only when it comes back from it, in the order that is the same for
every gateway. The window in memory answers what is recent, the stream the rest.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.config import JetStream
from gateway.hub.log import Page, Recent, Selection, Sink
from gateway.hub.message import Message
from gateway.hub.ring import Ring
from gateway.logs.ending import Tasks
from gateway.logs.following import Follower, Record
from gateway.logs.intake import Callbacks, Intake
from gateway.logs.lease import Bucket
from gateway.logs.natsclient import NatsClient, Refusal, Unanswered
from gateway.logs.reading import Reader
from gateway.logs.records import Records
from gateway.logs.stream import StreamState, look_at, open_stream
from gateway.logs.streamlookback import StreamLookback
from gateway.logs.turns import Begin, End, Holdings
from gateway.logs.watching import Watch
from gateway.logs.writing import Durable

logger = logging.getLogger("gateway.history")

RETRY = 0.2  # seconds


class JetStreamLog:
    """See Log and Turns. `begin` comes before `open`, `end` before `close`; everything is called on the loop.

    `limit` and `age` bound the window in memory. `busy`: the hub cannot take more. `upstream` names what devices
    publish to NATS themselves. `gap(upstream)` is told where messages were lost before the log, `gone(first, last)`
    where they were deleted before this gateway had them; `over` where the stream is another one by now: every offset
    would mean something else.
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
        records = self._records = Records(settings.prefix, upstream=upstream)
        callbacks = Callbacks(
            own=lambda id: self.holdings.came_back(id),
            began=lambda upstream, term: self.holdings.began(upstream, term),
            gap=lambda upstream: self.gap(upstream),
            gone=self._deleted,
        )
        self._subjects = records.held(settings.topics)
        self._intake = Intake(records, self.ring, sink, callbacks, clock=clock)
        self._tasks = Tasks(loop)
        self._lookback = StreamLookback(
            self.client,
            settings.stream,
            intake=self._intake,
            reader=self._reader,
            tasks=self._tasks,
            clock=clock,
            wall=wall,
        )
        self._follower = Follower(self.client, settings.stream, loop=loop, take=self._take, busy=busy)
        self._bucket = Bucket(self.client, f"{settings.stream}-leases", replicas=settings.replicas)
        self.holdings = Holdings(
            self.client,
            records,
            self._bucket,
            name=name,
            loop=loop,
            caught_up=self._caught_up,
            recent=self._lookback.recent,
        )
        self._watch = Watch(
            self.client, settings, self._intake, clock=clock, looked=self._looked, over=lambda: self.over()
        )
        self._recently: list[Message] = []
        self._broken = -1

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
        self.epoch = self._watch.epoch = state.epoch
        self._looked(state)
        self._intake.begin(state.last)
        held = [record for record in found if record.offset <= state.last]
        for record in held:
            told_nobody: list[Callable[[], None]] = []
            message = self._intake.message(record, told_nobody)
            if message is not None:
                self._recently.append(message)
            elif told_nobody and self._records.gap_of(record.subject):
                self._broken = record.offset
        logger.info(
            "history: the stream %s at offset %d, epoch %s, %d last values",
            self._settings.stream,
            state.last,
            state.epoch,
            len(self._recently),
        )

    def open(self) -> Recent:
        """Go on from where `begin` found the stream."""
        recent, self._recently = Recent(self._recently, [], self._broken), []
        self._follower.start(self._intake.taken)
        self._tasks.begin(self._watch.run(), "log-watch")
        return recent

    async def end(self) -> None:
        """Give back what is held, and end the connection."""
        await self.holdings.stop()
        await self._follower.stop()
        await self._tasks.end()
        await self.client.close()

    def close(self, seconds: float = 5.0) -> None:
        """All is kept elsewhere."""

    def names(self, epoch: str, offset: int) -> bool:
        return epoch == self.epoch

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
        """See SharedLog."""
        return self._watch.lag

    @property
    def fault(self) -> str:
        """See SharedLog."""
        return self._watch.fault

    def _take(self, records: list[Record]) -> None:
        self._intake.take(records)
        self.holdings.settle()

    def _deleted(self, first: int, last: int) -> None:
        logger.warning("history: the offsets %d to %d were deleted before they came here", first, last)
        self.gone(first, last)

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            self._watch.disconnected()
        self._follower.again()

    def _looked(self, state: StreamState) -> None:
        self._lookback.first = state.first

    async def _caught_up(self) -> None:
        """Return once everything that the stream holds now has been handed on. Raises Unanswered, Refusal."""
        state = await look_at(self.client, self._settings.stream)
        await self._intake.reached(state.last)

    # Reading.

    @property
    def oldest(self) -> int:
        """The oldest offset in memory."""
        return self.ring.oldest

    def read(self, after: int, until: int, wanted: Selection, take: Callable[[Page], None]) -> None:
        self._lookback.read(after, until, wanted, take)

    def reach(self, offset: int, take: Callable[[bool], None]) -> None:
        self._lookback.reach(offset, take)

    def offset_before(self, age: float, take: Callable[[int], None]) -> None:
        self._lookback.offset_before(age, take)

    def offset_of_last(self, count: int, wanted: Selection, take: Callable[[int], None]) -> None:
        self._lookback.offset_of_last(count, wanted, take)

    async def numbers_of(self, topic: str, since: float, until: float, most: int) -> tuple[list[Message], bool]:
        """Messages of a topic older than the window, oldest first; whether these are all. Raises Unanswered."""
        return await self._lookback.numbers_of(topic, since, until, most)
