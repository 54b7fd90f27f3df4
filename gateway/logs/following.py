"""The stream as it grows: every message once, in sequence order, whatever becomes of connections and leaders.

An ordered consumer: JetStream pushes, without acknowledgements, and numbers what it pushes. Where a number is missing,
the heartbeat stays away or the connection was lost, another consumer goes on behind the last message that was taken.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.logs.ending import FAULT, ended, tell_fault
from gateway.logs.natsclient import API, Msg, NatsClient, Refusal, Unanswered
from gateway.logs.stream import SECOND

logger = logging.getLogger("gateway.history")

HEARTBEAT = 1.0  # seconds
MISSED = 3  # heartbeats
RETRY = 0.2  # seconds
ANSWER = 1.5  # seconds; while there is no leader nobody answers, and the next one is asked the sooner
BUSY_POLL = 0.002
MOST = 512  # records handed on at once


class Record(NamedTuple):
    """One record of the stream; `stored` is when the stream took it in, Unix seconds."""

    offset: int
    subject: str
    payload: bytes
    headers: dict[str, str] | None
    stored: float


class Follower:
    """Hands records to `take`, in order, from the one after `newest` on; `busy` makes the stream wait."""

    def __init__(
        self,
        client: NatsClient,
        stream: str,
        *,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[list[Record]], None],
        busy: Callable[[], bool],
    ) -> None:
        self.newest = 0
        self.consumers = 0
        self._client = client
        self._stream = stream
        self._loop = loop
        self._take = take
        self._busy = busy
        self._records: list[Record] = []
        self._scheduled = False
        self._expected = 0
        self._heard = 0.0
        self._broken = asyncio.Event()
        self._subscription: Any = None
        self._inbox = ""
        self._task: asyncio.Task[None] | None = None

    def start(self, newest: int) -> None:
        """Go on behind the sequence `newest`."""
        self.newest = newest
        self._task = self._loop.create_task(self._run(), name="log-follower")

    def again(self) -> None:
        """The connection was lost, or is back: go on with another consumer."""
        self._broken.set()

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            await ended({self._task})
        await self._unsubscribe()

    async def _run(self) -> None:
        while True:
            self._broken.clear()
            try:
                name = await self._begin()
                await self._stay()
                await self._unsubscribe()
                await self._client.ask(f"{API}CONSUMER.DELETE.{self._stream}.{name}")
            except (Unanswered, Refusal) as error:
                logger.debug("history: not following the stream: %s", error)
                await self._unsubscribe()
            except Exception as failure:
                tell_fault(failure)
                await self._unsubscribe()
                await asyncio.sleep(FAULT)
            await asyncio.sleep(RETRY)

    async def _begin(self) -> str:
        """Make a consumer behind what was taken. Raises Unanswered, Refusal."""
        self._flush()
        self._inbox = self._client.inbox()
        self._expected = 1
        self._subscription = await self._client.subscribe(self._inbox, self._received)
        name = f"gateway-{secrets.token_hex(8)}"
        config = {
            "deliver_subject": self._inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.newest + 1,
            "ack_policy": "none",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * SECOND),
            "inactive_threshold": 10 * SECOND,
            "num_replicas": 1,
            "mem_storage": True,
        }
        self._heard = self._loop.time()
        await self._client.ask(
            f"{API}CONSUMER.CREATE.{self._stream}.{name}",
            {"stream_name": self._stream, "config": config},
            within=ANSWER,
        )
        self.consumers += 1
        return name

    async def _stay(self) -> None:
        """Until this consumer is of no use any more."""
        limit = MISSED * HEARTBEAT
        while not self._broken.is_set():
            left = self._heard + limit - self._loop.time()
            if left <= 0:
                logger.debug("history: the stream's heartbeat stays away")
                return
            try:
                await asyncio.wait_for(self._broken.wait(), left)
            except TimeoutError:
                pass  # heard of meanwhile, or not: looked at above

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except Exception as error:  # nats-py raises several kinds where the connection is closed or lost
                logger.debug("history: not unsubscribed: %s", error)

    async def _received(self, message: Msg) -> None:
        self._heard = self._loop.time()
        if not message.reply.startswith("$JS.ACK."):
            await self._control(message)
            return
        offset, number, stored, _ = place_of(message.reply)
        if number != self._expected or offset <= self.newest:
            if number >= self._expected:
                self._broken.set()
            return
        self._expected = number + 1
        self.newest = offset
        self._records.append(Record(offset, message.subject, message.data, message.headers, stored))
        if len(self._records) >= MOST:
            self._flush()
            await asyncio.sleep(0)
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        while self._busy():  # noqa: ASYNC110 - the hub has no event for it either
            await asyncio.sleep(BUSY_POLL)

    async def _control(self, message: Msg) -> None:
        """Flow control is answered once all before it is taken; a heartbeat tells how much there was."""
        headers = message.headers or {}
        stalled = headers.get("Nats-Consumer-Stalled", "")
        reply = message.reply or stalled
        if reply:
            try:
                await self._client.publish(reply)
            except Unanswered:
                self._broken.set()
        last = headers.get("Nats-Last-Consumer", "")
        if last.isdecimal() and int(last) >= self._expected:
            self._broken.set()

    def _flush(self) -> None:
        self._scheduled = False
        if self._records:
            records, self._records = self._records, []
            self._take(records)


def place_of(reply: str) -> tuple[int, int, float, int]:
    """Stream sequence, consumer sequence, time in Unix seconds and what is pending, out of `$JS.ACK.…`.

    Nine tokens, or from a server with domains eleven and more: the domain and the account come first.
    """
    tokens = reply.split(".")
    at = 5 if len(tokens) < 11 else 7
    return int(tokens[at]), int(tokens[at + 1]), int(tokens[at + 2]) / SECOND, int(tokens[at + 3])
