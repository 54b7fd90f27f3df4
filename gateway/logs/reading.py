"""Reading back out of the stream: pages by sequence, sequences by time, the last record of every subject.

Pages come by direct get, which any server answers that has a copy; where one has not got the newest yet, the leader
decides what there is.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.logs.following import Record, place_of
from gateway.logs.natsclient import API, NOT_FOUND, Msg, NatsClient, Refusal, Unanswered
from gateway.logs.stream import SECOND

PATIENCE = 2.0  # seconds for the next part of an answer
PAGE_BYTES = 1 << 20
SNAPSHOT_IDLE = 5.0  # seconds


class Gathering:
    """The parts of one answer, as they come."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.records: list[Record] = []
        self.done: asyncio.Future[None] = loop.create_future()


class Reader:
    """Asks the stream. Everything raises Unanswered where NATS is out of reach."""

    def __init__(self, client: NatsClient, stream: str, *, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._stream = stream
        self._loop = loop
        self._gatherings: dict[str, Gathering] = {}
        self._asked = 0
        self._inbox = ""

    async def page(self, first: int, most: int, subject: str = "") -> list[Record]:
        """At most `most` records from the sequence `first` on; fewer do not mean that there are no more. With `subject`
        those of this one only."""
        body: dict[str, Any] = {"seq": first, "batch": most, "max_bytes": PAGE_BYTES}
        return await self._get({**body, "next_by_subj": subject} if subject else body)

    async def next_after(self, sequence: int) -> int | None:
        """The sequence of the first record behind `sequence`, by the leader's word; None where there is none."""
        body = {"seq": sequence + 1, "next_by_subj": ">"}
        try:
            answer = await self._client.ask(f"{API}STREAM.MSG.GET.{self._stream}", body)
        except Refusal as refusal:
            if refusal.code == NOT_FOUND:
                return None
            raise Unanswered(str(refusal)) from refusal
        return int(answer["message"]["seq"])

    async def since(self, time: float) -> int | None:
        """The first sequence that was stored at or after a Unix time; None where there is none."""
        start = datetime.fromtimestamp(max(0.0, time), UTC).isoformat().replace("+00:00", "Z")
        found = await self._get({"start_time": start, "batch": 1})
        return found[0].offset if found else None

    async def last_of_every_subject(self) -> list[Record]:
        """The newest record of each subject, in sequence order. Raises Refusal too."""
        inbox = self._client.inbox()
        gathering = Gathering(self._loop)
        heard = self._loop.time()

        async def received(message: Msg) -> None:
            nonlocal heard
            heard = self._loop.time()
            if not message.reply.startswith("$JS.ACK."):
                if message.reply:
                    await self._client.publish(message.reply)
                return
            offset, _, stored, pending = place_of(message.reply)
            gathering.records.append(Record(offset, message.subject, message.data, message.headers, stored))
            if pending == 0 and not gathering.done.done():
                gathering.done.set_result(None)

        subscription = await self._client.subscribe(inbox, received)
        name = f"gateway-{secrets.token_hex(8)}"
        config = {
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "filter_subject": ">",
            "ack_policy": "none",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": SECOND,
            "inactive_threshold": 10 * SECOND,
            "num_replicas": 1,
            "mem_storage": True,
        }
        try:
            made = await self._client.ask(
                f"{API}CONSUMER.CREATE.{self._stream}.{name}", {"stream_name": self._stream, "config": config}
            )
            # What waits may have come before the answer did.
            if made["num_pending"] == 0 and not gathering.records and made["delivered"]["consumer_seq"] == 0:
                return []
            while not gathering.done.done():
                await asyncio.wait({gathering.done}, timeout=1.0)
                if self._loop.time() - heard > SNAPSHOT_IDLE or not self._client.connected:
                    raise Unanswered("the last values did not come")
            await self._client.ask(f"{API}CONSUMER.DELETE.{self._stream}.{name}")
        finally:
            await subscription.unsubscribe()
        return sorted(gathering.records)

    async def _get(self, body: Mapping[str, Any]) -> list[Record]:
        if not self._inbox:
            self._inbox = self._client.inbox()
            await self._client.subscribe(f"{self._inbox}.*", self._received)
        self._asked += 1
        token = str(self._asked)
        gathering = self._gatherings[token] = Gathering(self._loop)
        try:
            await self._client.publish(
                f"{API}DIRECT.GET.{self._stream}", json.dumps(body).encode(), reply=f"{self._inbox}.{token}"
            )
            have = -1
            while not gathering.done.done() and len(gathering.records) > have:
                have = len(gathering.records)
                await asyncio.wait({gathering.done}, timeout=PATIENCE)
            if not gathering.done.done():
                raise Unanswered("a page of the stream did not come")
            gathering.done.result()
            return gathering.records
        finally:
            del self._gatherings[token]

    async def _received(self, message: Msg) -> None:
        gathering = self._gatherings.get(message.subject.rpartition(".")[2])
        if gathering is None or gathering.done.done():
            return
        headers = message.headers or {}
        status = headers.get("Status", "")
        if not status:
            offset, stored = int(headers["Nats-Sequence"]), _time(headers["Nats-Time-Stamp"])
            gathering.records.append(Record(offset, headers["Nats-Subject"], message.data, headers, stored))
        elif status in ("204", "404"):
            gathering.done.set_result(None)
        else:
            gathering.done.set_exception(Unanswered(f"the stream does not answer ({status})"))


def _time(text: str) -> float:
    """Unix seconds of RFC 3339 with nanoseconds, of which Python's datetime takes six digits."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
