"""A client's conversation over a JetStream log of a real server, turn by turn."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.jetstream import Streams, settled
from support.nats import Nats
from support.talk import Talk

from gateway.hub.message import Message
from gateway.logs.natsclient import API


class StreamTalk(Talk):
    """See Talk. Between two steps the log's own loop stands still.

    `late`: None keeps all in memory, 0 nothing, any other number about that many messages.
    """

    def __init__(self, runner: asyncio.Runner, streams: Streams, *, late: int | None, **options: Any) -> None:
        self._runner = runner
        self._streams = streams
        super().__init__(late=late, **options)

    def make_log(self, late: int | None, **options: Any) -> Any:
        async def make() -> Any:
            log = await self._streams.log(self.hub.take, **options)
            if late is not None:
                ring = log.ring

                def expire(now: float) -> None:
                    if ring.newest - ring.oldest > late:
                        ring.clear(ring.newest)

                ring.limit, ring.expire = 0, expire  # type: ignore[method-assign] # blocks are too large for a test
            return log

        return self._runner.run(make())

    def publish(self, topic: str, payload: bytes = b"1", count: int = 1) -> int:
        """Messages from the broker, stored and handed on; the newest offset."""
        messages = [Message(topic, payload, self.now, "u") for _ in range(count)]
        self.published += messages

        async def append() -> None:
            self.log.append(messages)
            await settled(self.log)

        self._runner.run(append())
        return int(self.log.newest)

    def answer(self) -> None:
        """The log may answer a read."""
        self._runner.run(asyncio.sleep(0.001))

    def settle(self) -> None:
        """Until nothing moves any more."""
        self.unblock()
        while self.turns or self.reading:
            self.answer()
            self.turn()

    def expire(self, first: int) -> None:
        """The stream discards what is older than this offset."""
        purge = f"{API}STREAM.PURGE.{self.log._settings.stream}"
        self._runner.run(self.log.client.ask(purge, {"seq": first}))

    def tell(self) -> None:
        """The gateways tell each other something: a record with an offset, and nothing for a client."""
        self.log.tell_gap("u")
        self._runner.run(settled(self.log))

    @property
    def reading(self) -> bool:
        """Whether the log owes an answer."""
        return bool(self.log._tasks.count("log-read", "log-reach"))


@contextmanager
def stream_talks(nats: Nats) -> Iterator[Callable[..., StreamTalk]]:
    """A function that begins a conversation on a stream of its own, which ends with it."""
    streams = Streams(nats)
    with asyncio.Runner() as runner:
        try:
            yield lambda *, late=None, **options: StreamTalk(runner, streams, late=late, **options)
        finally:
            runner.run(streams.end())
