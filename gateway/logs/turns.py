"""Which upstreams this gateway follows, and what it stores of them: a lease and a writer each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.hub.message import Message
from gateway.logs.ending import Tasks
from gateway.logs.lease import Bucket, Lease
from gateway.logs.natsclient import NatsClient
from gateway.logs.records import Identity, Records
from gateway.logs.subjects import subject_of
from gateway.logs.writing import Durable, Writer

logger = logging.getLogger("gateway.history")

FLUSH = 1.0  # seconds in which what was taken in is stored before a lease is given back

Begin = Callable[[list[Message]], None]
End = Callable[[], None]


class Campaign:
    """What is told to whoever follows the upstream, and the lease."""

    def __init__(self, begin: Begin, end: End) -> None:
        self.begin = begin
        self.end = end
        self.lease: Lease | None = None


class Holdings:
    """Is Turns for the links, and where the log appends.

    `recent(upstream)` gives the newest QoS 1 messages that the log has of it. A term begins with a record of its own:
    once that has come back, whatever the former holder stored is known, and what it may still send counts no more.
    """

    def __init__(
        self,
        client: NatsClient,
        records: Records,
        bucket: Bucket,
        *,
        name: str,
        loop: asyncio.AbstractEventLoop,
        caught_up: Callable[[], Awaitable[None]],
        recent: Callable[[str], Awaitable[list[Message]]],
    ) -> None:
        self.writers: dict[str, Writer] = {}
        self._client = client
        self._records = records
        self._bucket = bucket
        self._name = name
        self._loop = loop
        self._caught_up = caught_up
        self._recent = recent
        self._campaigns: dict[str, Campaign] = {}
        self._tasks = Tasks(loop)
        self._stored = 0  # by writers that have ended
        self._retries = 0

    @property
    def busy(self) -> bool:
        """Whether sources should wait."""
        return any(writer.busy for writer in self.writers.values())

    @property
    def waiting(self) -> int:
        """Messages that were taken in and are not known to be stored."""
        return sum(writer.waiting for writer in self.writers.values())

    @property
    def stored(self) -> int:
        """Messages stored, ever."""
        return self._stored + sum(writer.stored for writer in self.writers.values())

    @property
    def retries(self) -> int:
        """Batches that were sent again, ever."""
        return self._retries + sum(writer.retries for writer in self.writers.values())

    def holds(self, upstream: str) -> bool:
        """Whether this gateway follows `upstream`."""
        return upstream in self.writers

    def holder(self, upstream: str) -> str:
        """The name of the gateway that follows `upstream`, as far as it is known."""
        campaign = self._campaigns.get(upstream)
        return campaign.lease.holder if campaign is not None and campaign.lease is not None else ""

    def campaign(self, upstream: str, begin: Begin, end: End) -> None:
        """See Turns."""
        campaign = self._campaigns[upstream] = Campaign(begin, end)
        lease = campaign.lease = Lease(
            self._bucket,
            subject_of(upstream),
            holder=self._name,
            loop=self._loop,
            granted=lambda term: self._granted(upstream, term),
            lost=lambda: self._lost(upstream),
        )
        lease.start()

    async def withdraw(self, upstream: str) -> None:
        """See Turns."""
        campaign = self._campaigns.pop(upstream, None)
        if campaign is None or campaign.lease is None:
            return
        writer = self.writers.get(upstream)
        if writer is not None:
            try:
                await asyncio.wait_for(writer.idle(), FLUSH)
            except TimeoutError:
                logger.warning(
                    "upstream %s: %d messages were not stored in time; QoS 1 comes again", upstream, writer.waiting
                )
            await self._dismiss(upstream, writer)
        await campaign.lease.stop()

    def admit(self, upstream: str, term: int, may_write: Callable[[], bool]) -> Writer:
        """Let messages of `upstream` be stored, under the ids of `term`."""
        writer = self.writers[upstream] = Writer(
            self._client,
            self._records,
            upstream=upstream,
            term=term,
            loop=self._loop,
            may_write=may_write,
            caught_up=self._caught_up,
        )
        return writer

    def append(self, messages: list[Message], durable: Durable | None) -> None:
        """Store messages of one upstream. Those of one that is not ours any more are dropped, unacknowledged: the
        broker gives them to whoever follows it now."""
        writer = self.writers.get(messages[0].upstream)
        if writer is not None:
            writer.append(messages, durable)

    def gap(self, upstream: str) -> None:
        """Tell every gateway that messages of `upstream` were lost, where it is for us to say."""
        writer = self.writers.get(upstream)
        if writer is not None:
            writer.tell(self._records.gap(upstream))

    def came_back(self, id: Identity) -> Message | None:
        """The message that was appended here under this identity, where it was."""
        writer = self.writers.get(id.upstream)
        if writer is None or writer.term != id.term:
            return None
        return writer.came_back(id.counter)

    def settle(self) -> None:
        """What came back is handed on."""
        for writer in self.writers.values():
            writer.settle()

    def began(self, upstream: str, term: int) -> None:
        """The record with which a term begins came back."""
        writer = self.writers.get(upstream)
        if writer is not None and writer.term == term:
            self._tasks.begin(self._begin(upstream, writer), f"log-turn-{upstream}")

    async def stop(self) -> None:
        """End all, without giving anything back."""
        for upstream, writer in list(self.writers.items()):
            await self._dismiss(upstream, writer)
        for campaign in self._campaigns.values():
            if campaign.lease is not None:
                await campaign.lease.stop()
        self._campaigns.clear()
        await self._tasks.end()

    def _granted(self, upstream: str, term: int) -> None:
        campaign = self._campaigns.get(upstream)
        if campaign is None or campaign.lease is None:
            return
        lease = campaign.lease
        writer = self.admit(upstream, term, lambda: lease.valid and lease.term == term)
        writer.tell(self._records.barrier(upstream))

    async def _begin(self, upstream: str, writer: Writer) -> None:
        messages = await self._recent(upstream)
        campaign = self._campaigns.get(upstream)
        if campaign is not None and self.writers.get(upstream) is writer:
            campaign.begin(messages)

    def _lost(self, upstream: str) -> None:
        writer = self.writers.get(upstream)
        if writer is not None:
            self._tasks.begin(self._dismiss(upstream, writer), f"log-dismiss-{upstream}")
            del self.writers[upstream]
        campaign = self._campaigns.get(upstream)
        if campaign is not None:
            campaign.end()

    async def _dismiss(self, upstream: str, writer: Writer) -> None:
        self._stored += writer.stored
        self._retries += writer.retries
        if self.writers.get(upstream) is writer:
            del self.writers[upstream]
        await writer.stop()
