"""Who of all gateways follows an upstream: a lease in a JetStream key-value bucket, one key an upstream.

A holder writes its record anew every second, each time on condition that nobody else has (the revision of the key).
Others watch the revision: one that stands still for TTL seconds by their own clock may be replaced, on the same
condition, so that exactly one succeeds; no two clocks are compared. A holder stops VALID seconds after the *sending* of
its last renewal that succeeded, which is before anybody else may begin. The revision that a term began with is in
every message id, so that messages of an ended term are known for what they are, wherever they come from.
"""

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.errors import GatewayError
from gateway.logs.ending import FAULT, ended, tell_fault
from gateway.logs.natsclient import API, NOT_FOUND, NatsClient, Refusal, Unanswered

logger = logging.getLogger("gateway.upstream")

RENEW = 0.75  # seconds
LOOK = 0.4  # seconds between two looks at somebody else's lease
TTL = 2.6  # seconds without a renewal after which a holder counts as dead
VALID = 2.0  # seconds after a renewal was sent for which it holds
RETRY = 0.15  # seconds
ANSWER = 1.0  # seconds
_WRONG_SEQUENCE = (10071, 10164)


class Entry(NamedTuple):
    """The record of a key: its revision, the holder's name and mark; both empty where it was given back."""

    revision: int
    holder: str
    mark: str


class Bucket:
    """A key-value bucket of JetStream (NATS ADR-8): the stream `KV_NAME`, a subject for each key."""

    def __init__(self, client: NatsClient, name: str, *, replicas: int) -> None:
        self._client = client
        self._name = name
        self._replicas = replicas

    async def open(self) -> None:
        """Make it where it is absent. Raises Unanswered, GatewayError."""
        stream = f"KV_{self._name}"
        config = {
            "name": stream,
            "subjects": [f"$KV.{self._name}.>"],
            "max_msgs_per_subject": 1,
            "discard": "new",
            "storage": "file",
            "num_replicas": self._replicas,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
            "max_bytes": 1 << 20,
        }
        try:
            await self._client.ask(f"{API}STREAM.INFO.{stream}")
        except Refusal as refusal:
            if refusal.code != NOT_FOUND:
                raise GatewayError(f"bucket {self._name}: {refusal}") from refusal
            try:
                await self._client.ask(f"{API}STREAM.CREATE.{stream}", config)
            except Refusal as failure:
                raise GatewayError(f"bucket {self._name} cannot be made: {failure}") from failure

    async def get(self, key: str) -> Entry:
        """The record of a key; revision 0 where there is none. Raises Unanswered, Refusal."""
        body = {"last_by_subj": f"$KV.{self._name}.{key}"}
        try:
            answer = await self._client.ask(f"{API}STREAM.MSG.GET.KV_{self._name}", body, within=ANSWER)
        except Refusal as refusal:
            if refusal.code == NOT_FOUND:
                return Entry(0, "", "")
            raise
        found = answer["message"]
        try:
            record: Any = json.loads(base64.b64decode(found.get("data", "")))
            return Entry(found["seq"], str(record["holder"]), str(record["mark"]))
        except (ValueError, KeyError, TypeError):
            return Entry(found["seq"], "", "")  # deleted by somebody with the nats command

    async def put(self, key: str, holder: str, mark: str, *, after: int) -> int | None:
        """Write a record where the key is still at revision `after`; the new revision, None where it is not."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(after)}
        body = json.dumps({"holder": holder, "mark": mark}).encode()
        try:
            answer = await self._client.ask(f"$KV.{self._name}.{key}", body, headers=headers, within=ANSWER)
        except Refusal as refusal:
            if refusal.number in _WRONG_SEQUENCE:
                return None
            raise
        return int(answer["seq"])


class Lease:
    """One gateway's campaign for one upstream; `key` is its name, made fit for a bucket.

    `granted(term)` is told of every term that begins, `lost` of its end where another gateway has it by now. In
    between it may lapse: `valid` is False then, and true again where nobody else has come.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        *,
        holder: str,
        loop: asyncio.AbstractEventLoop,
        granted: Callable[[int], None],
        lost: Callable[[], None],
    ) -> None:
        self.term = 0
        self.holder = ""
        self._bucket = bucket
        self._key = key
        self._name = holder
        self._mark = secrets.token_hex(8)
        self._loop = loop
        self._granted = granted
        self._lost = lost
        self._revision = 0
        self._seen_at = 0.0
        self._valid_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether this gateway's term goes on, as far as it knows."""
        return self.term > 0

    @property
    def valid(self) -> bool:
        """Whether nobody else can have it at this moment."""
        return self.term > 0 and self._loop.time() < self._valid_until

    def start(self) -> None:
        """Begin to look, and go on for ever."""
        self._seen_at = self._loop.time()
        self._task = self._loop.create_task(self._run(), name=f"lease-{self._key}")

    async def stop(self) -> None:
        """Give it back where it is held, so that another gateway need not wait; within about two seconds."""
        if self._task is not None:
            await ended({self._task})
        if self.held:
            self.term = 0
            try:
                await self._bucket.put(self._key, "", "", after=self._revision)
            except (Unanswered, Refusal) as error:
                logger.debug("upstream %s: its lease was not given back: %s", self._key, error)

    async def _run(self) -> None:
        while True:
            try:
                pause = await (self._renew() if self.held else self._look())
            except (Unanswered, Refusal) as error:
                logger.debug("upstream %s: its lease: %s", self._key, error)
                pause = RETRY
            except Exception as failure:
                tell_fault(failure)
                pause = FAULT
            await asyncio.sleep(pause)

    async def _look(self) -> float:
        entry = await self._bucket.get(self._key)
        now = self._loop.time()
        if entry.revision != self._revision:
            self._revision, self._seen_at = entry.revision, now
            if entry.holder != self.holder:
                self.holder = entry.holder
                if entry.holder:
                    logger.info("upstream %s: followed by the gateway %s", self._key, entry.holder)
        if entry.holder and now - self._seen_at < TTL:
            return min(LOOK, max(RETRY, self._seen_at + TTL - now))
        revision = await self._bucket.put(self._key, self._name, self._mark, after=entry.revision)
        if revision is None:
            return RETRY
        self._begin(revision, now)
        self._granted(self.term)
        return RENEW

    def _begin(self, revision: int, sent: float) -> None:
        self.term = self._revision = revision
        self.holder = self._name
        self._valid_until = sent + VALID
        logger.info("upstream %s: followed by this gateway from now on (term %d)", self._key, revision)

    async def _renew(self) -> float:
        sent = self._loop.time()
        revision = await self._bucket.put(self._key, self._name, self._mark, after=self._revision)
        if revision is None:
            entry = await self._bucket.get(self._key)
            if entry.mark == self._mark:
                self._revision = entry.revision  # a renewal of ours of which the answer was lost
                return 0.0
            self.term = 0
            self._valid_until = 0.0
            self._revision, self._seen_at = entry.revision, self._loop.time()
            self.holder = entry.holder
            logger.warning("upstream %s: the gateway %s has its lease now", self._key, entry.holder or "nobody")
            self._lost()
            return LOOK
        self._revision = revision
        self._valid_until = sent + VALID
        return RENEW
