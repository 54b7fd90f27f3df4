"""JetStream logs of a test, each on a stream of its own of one real nats-server."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

from support.nats import Nats

from gateway.config import JetStream
from gateway.hub.message import Message
from gateway.logs.jetstream import JetStreamLog
from gateway.logs.natsclient import API, Refusal

_numbers = itertools.count()


class Streams:
    """Makes logs on one server; `end` ends them all."""

    def __init__(self, server: Nats) -> None:
        self.server = server
        self._logs: list[JetStreamLog] = []

    def settings(self, **options: Any) -> JetStream:
        """Of a stream that nobody has yet."""
        number = next(_numbers)
        fields = {"stream": f"log-{number}", "prefix": f"log-{number}", "max_bytes": 64 << 20} | options
        return JetStream(urls=(self.server.nats_url,), replicas=1, **fields)

    async def log(
        self,
        sink: Callable[[list[Message]], None] = lambda messages: None,
        *,
        settings: JetStream | None = None,
        name: str = "gateway",
        upstream: str = "u",
        term: int = 1,
        **options: Any,
    ) -> JetStreamLog:
        """A log that is open; `upstream` may store in it without a lease, as of its `term`; "" for none."""
        fields = {"limit": 1 << 24, "age": 600.0} | options
        log = JetStreamLog(
            sink, settings=settings or self.settings(), name=name, loop=asyncio.get_running_loop(), **fields
        )
        self._logs.append(log)
        await log.begin()
        log.recent = log.open()  # type: ignore[attr-defined]
        if upstream:
            log.holdings.admit(upstream, term, lambda: True)
        return log

    async def drop(self, log: JetStreamLog, *, stream: bool = False) -> None:
        """The log's gateway dies; with `stream` somebody deletes its stream."""
        self._logs.remove(log)
        if stream:
            await log.client.ask(f"{API}STREAM.DELETE.{log._settings.stream}")
        await log.end()

    async def end(self) -> None:
        logs, self._logs = self._logs, []
        for log in logs:
            for stream in (
                () if not log.client.connected else (log._settings.stream, f"KV_{log._settings.stream}-leases")
            ):
                with contextlib.suppress(Refusal):  # two gateways may have had the same
                    await log.client.ask(f"{API}STREAM.DELETE.{stream}")
            await log.end()


async def settled(log: JetStreamLog) -> None:
    """Wait until all that was appended is stored and handed on."""
    async with asyncio.timeout(20):
        for writer in log.holdings.writers.values():
            await writer.idle()
        await log._caught_up()
