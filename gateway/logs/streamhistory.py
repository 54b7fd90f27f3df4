"""Series of numbers out of a shared log: the window in memory, and behind it the stream, topic by topic."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from gateway.hub.message import Message
from gateway.hub.ring import BLOCK
from gateway.hub.series import Query, Series
from gateway.logs.ending import tell_fault
from gateway.logs.history import WAITING, answered, from_memory
from gateway.logs.jetstream import JetStreamLog
from gateway.logs.natsclient import Refusal, Unanswered
from gateway.logs.worker import Worker

logger = logging.getLogger("gateway.history")

MOST = 20_000  # messages of a topic that are fetched for a question
PATIENCE = 1.5  # seconds of fetching


class StreamHistory:
    """Series out of a JetStream log. `stored` is for how many seconds back there may be any."""

    def __init__(self, log: JetStreamLog, *, loop: asyncio.AbstractEventLoop, stored: float) -> None:
        self.stored = stored
        self.reader = Worker("history-reader", loop.call_soon_threadsafe)
        self._log = log
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def query(self, query: Query, done: Callable[[Series], None]) -> bool:
        if self.reader.waiting + len(self._tasks) >= WAITING:
            return False
        task = self._loop.create_task(self._query(query, done), name="log-series")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def start(self) -> None:
        """Nothing is kept besides the stream."""

    def close(self) -> None:
        """End the thread, and what is being fetched."""
        for task in list(self._tasks):
            task.cancel()
        self.reader.stop(1.0)

    async def _query(self, query: Query, done: Callable[[Series], None]) -> None:
        pages = [[message for message in page if message.topic] for page in self._log.ring.pages()]
        # Where the window reaches back beyond the question nothing has to be fetched.
        oldest = next((m.timestamp for page in pages for m in page if m.timestamp is not None), None)
        fetched: list[Message] = []
        complete = True
        if oldest is None or oldest > query.since:
            try:
                async with asyncio.timeout(PATIENCE):
                    for topic in query.source.topics:
                        found, whole = await self._log.numbers_of(topic, query.since, query.until, MOST)
                        fetched += found
                        complete = complete and whole
            except (TimeoutError, Unanswered, Refusal) as error:
                logger.debug("history: a series is not complete: %s", error)
                complete = False
            except Exception as failure:
                tell_fault(failure)  # whoever asked is answered all the same
                complete = False
        fetched.sort(key=lambda message: message.offset)
        older = [fetched[n : n + BLOCK] for n in range(0, len(fetched), BLOCK)]
        self.reader.submit(partial(from_memory, query, older + pages, not complete), partial(answered, done))
