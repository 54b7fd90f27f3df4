"""Messages on their way into the stream: in order, each stored once, however often it has to be sent.

What waits goes out as one atomic batch (nats-server: all of it is stored, in order, or nothing is), and the next batch
only once the stream has acknowledged it: so neither a lost packet nor another leader in between can turn two messages
round. A batch that nobody acknowledged is sent again with the same message ids, by which the stream knows what it has.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, NamedTuple

from gateway.hub.message import Message
from gateway.logs.ending import FAULT, ended, tell_fault
from gateway.logs.natsclient import Msg, NatsClient, Outgoing, Refusal, Unanswered, answer_of
from gateway.logs.records import HEADER, MESSAGE_ID, ROOM, Records, message_id

logger = logging.getLogger("gateway.history")

MOST = 1000  # messages of a batch; a server takes no more
MOST_BYTES = 1 << 20
PATIENCE = 2.0  # seconds for the acknowledgement of a batch
PAUSE = 0.1  # seconds before it is sent again
FORGET = 60.0  # seconds after which the servers may have forgotten the message ids
STRIDE = 128  # messages sent before others have their turn
FULL = 4 << 20  # bytes that wait before the source has to
FULL_MESSAGES = 20_000
LONGEST_TOPIC = 65_535  # bytes (MQTT 5.0, 1.5.4)
OVERHEAD = 200  # bytes of a message beside its payload

_DUPLICATES = 10201  # err_code: the batch holds a message id that the stream has
_INCOMPLETE = 10176  # err_code: a part of the batch was lost on the way, or the leader is another one

Durable = Callable[[], None]


class Entry(NamedTuple):
    """What waits to be stored: a message, or (None) a record that gateways tell each other."""

    counter: int
    subject: str
    header: str
    payload: bytes
    message: Message | None


class Writer:
    """Stores what comes from one upstream under one term of its lease.

    `may_write` says whether the lease still holds; while it does not, all waits. `caught_up` returns once everything
    that the stream held when it was asked has been handed on. Whoever hands on what comes back from the stream calls
    `came_back`, and `settle` when it is done. `stored` counts messages, `retries` batches that were sent again.
    """

    def __init__(
        self,
        client: NatsClient,
        records: Records,
        *,
        upstream: str,
        term: int,
        loop: asyncio.AbstractEventLoop,
        may_write: Callable[[], bool],
        caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        self.upstream = upstream
        self.term = term
        self.stored = 0
        self.retries = 0
        self._client = client
        self._records = records
        self._loop = loop
        self._may_write = may_write
        self._caught_up = caught_up
        self._queue: deque[Entry] = deque()
        self._size = 0
        self._counter = 0
        self._acknowledged = 0
        self._seen = 0
        self._under_way: dict[int, Message] = {}
        self._durables: deque[tuple[int, Durable]] = deque()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._attempt = 0
        self._answer: asyncio.Future[bytes] | None = None
        self._inbox = ""
        self._subscription: Any = None
        self._told = ""
        self._task = loop.create_task(self._run(), name=f"log-writer-{upstream}")

    @property
    def busy(self) -> bool:
        """Whether so much waits that the source should wait, or nothing may be stored at present."""
        return self._size > FULL or len(self._queue) > FULL_MESSAGES or not self._may_write()

    @property
    def waiting(self) -> int:
        """Messages that are not known to be stored."""
        return self._counter - self._acknowledged

    def append(self, messages: list[Message], durable: Durable | None = None) -> None:
        """Store `messages` in this order; `durable` is called once they are, and have been handed on."""
        for message in messages:
            self._cut(message)
            self._put(*self._records.write(message), message)
        if durable is not None:
            self._durables.append((self._counter, durable))

    def tell(self, subject: str) -> None:
        """Store a record for the other gateways in its place behind what waits."""
        self._put(subject, "", b"", None)

    def came_back(self, counter: int) -> Message | None:
        """What was appended under this counter, when the stream hands it on."""
        self._seen = max(self._seen, counter)
        return self._under_way.pop(counter, None)

    def settle(self) -> None:
        """Call what waits for messages that are stored and handed on."""
        known = min(self._acknowledged, self._seen)
        durables = self._durables
        while durables and durables[0][0] <= known:
            durables.popleft()[1]()

    async def idle(self) -> None:
        """Wait until nothing waits."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Give up what waits: nobody is told that it was stored."""
        await ended({self._task})
        self._durables.clear()
        self._under_way.clear()
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except Exception as error:  # nats-py raises several kinds where the connection is closed or lost
                logger.debug("history: not unsubscribed: %s", error)

    def _put(self, subject: str, header: str, payload: bytes, message: Message | None) -> None:
        self._counter += 1
        self._size += len(payload) + OVERHEAD
        self._queue.append(Entry(self._counter, subject, header, payload, message))
        if message is not None:
            self._under_way[self._counter] = message
        self._idle.clear()
        self._work.set()

    def _cut(self, message: Message) -> None:
        """What the servers would never take goes on without its payload, as above `[limits] payload`."""
        if len(message.payload) > self._client.max_payload - ROOM - LONGEST_TOPIC:
            size, message.payload = len(message.payload), b""
            message.size = size
            self._warn(
                f"upstream {self.upstream}: a payload of {size} bytes of {message.topic} is more than the NATS servers "
                f"take (max_payload {self._client.max_payload}): only its size is told"
            )

    def _warn(self, text: str) -> None:
        if text != self._told:
            self._told = text
            logger.warning("history: %s", text)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._queue:
                batch = self._batch()
                await self._store(batch)
                for _ in batch:
                    entry = self._queue.popleft()
                    self._size -= len(entry.payload) + OVERHEAD
                    self.stored += entry.message is not None
                self._acknowledged = batch[-1].counter
                self._told = ""
                self.settle()
            self._idle.set()

    def _batch(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        for entry in islice(self._queue, MOST):
            size += len(entry.payload)
            if size > MOST_BYTES and batch:
                break
            batch.append(entry)
        return batch

    async def _store(self, batch: list[Entry]) -> None:
        """Send a batch until the stream has it."""
        began = self._loop.time()
        while True:
            while not self._may_write():  # noqa: ASYNC110 - a lease lapses by the clock, without an event
                await asyncio.sleep(PAUSE / 2)
            if self._seen >= batch[-1].counter:
                return
            try:
                if self._loop.time() - began > FORGET:
                    # The servers may not know its ids any more: look whether it is there.
                    await self._caught_up()
                    began = self._loop.time()
                    continue
                answer_of(await self._send(batch))
                return
            except Unanswered as error:
                self._warn(f"nothing is stored for now: {error}; the messages of {self.upstream} wait")
            except Refusal as refusal:
                if refusal.number == _DUPLICATES:
                    return
                if refusal.number != _INCOMPLETE:
                    self._warn(f"the stream refuses messages: {refusal}; those of {self.upstream} wait")
            except Exception as failure:
                tell_fault(failure)
                await asyncio.sleep(FAULT)
            self.retries += 1
            await asyncio.sleep(PAUSE)

    async def _send(self, batch: list[Entry]) -> bytes:
        if self._subscription is None:
            self._inbox = self._client.inbox()
            self._subscription = await self._client.subscribe(f"{self._inbox}.*", self._answered)
        self._attempt += 1
        reply = f"{self._inbox}.{self._attempt}"
        answer = self._answer = self._loop.create_future()
        batch_id = f"{self.upstream}:{self.term}:{self._attempt}" if len(batch) > 1 else ""
        for start in range(0, len(batch), STRIDE):
            part = range(start, min(start + STRIDE, len(batch)))
            await self._client.send([self._outgoing(batch, number, batch_id, reply) for number in part])
            await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise Unanswered(f"no acknowledgement within {PATIENCE:g} s") from None

    def _outgoing(self, batch: list[Entry], number: int, batch_id: str, reply: str) -> Outgoing:
        """The message of a batch at place `number`."""
        entry, is_last = batch[number], number == len(batch) - 1
        headers = {MESSAGE_ID: message_id(self.upstream, self.term, entry.counter)}
        if entry.header:
            headers[HEADER] = entry.header
        if batch_id:
            headers["Nats-Batch-Id"], headers["Nats-Batch-Sequence"] = batch_id, str(number + 1)
            if is_last:
                headers["Nats-Batch-Commit"] = "1"
        return Outgoing(entry.subject, reply if is_last else "", headers, entry.payload)

    async def _answered(self, message: Msg) -> None:
        answer = self._answer
        if answer is None or answer.done() or not message.subject.endswith(f".{self._attempt}"):
            return
        if message.data:
            answer.set_result(message.data)
        elif message.headers:
            answer.set_exception(Unanswered("the stream has no leader at this moment"))
