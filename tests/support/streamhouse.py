"""A gateway for clients that keep books, over a JetStream log of a real server: it dies, and another goes on there."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.accounts import House
from support.jetstream import Streams, settled
from support.nats import Nats

from gateway.logs.natsclient import API

NOBODYS = "$record"  # stands for a record that is no message of a topic: no filter matches it


class StreamHouse(House):
    """See House. Between two steps the log's own loop stands still; what it answers late it answers one a turn.

    `ring` bounds the window in memory, with `late` there is none: everything is read back from the stream.
    """

    def __init__(self, runner: asyncio.Runner, streams: Streams, **options: Any) -> None:
        self._runner = runner
        self._streams = streams
        self._settings = streams.settings()
        self._owed: deque[tuple[asyncio.Future[Any], Callable[[Any], None]]] = deque()
        self._term = 0
        self._first = 1
        self.log = None
        super().__init__(**options)

    def restart(self) -> None:
        """The stream was made anew, and the gateway comes up again."""
        before = None
        if self.log is not None:
            before = self.log.epoch
            self._end(stream=True)
        self._first = 1
        super().restart()
        assert self.log.epoch != before

    def take_over(self) -> None:
        """The gateway dies; another, that never saw any of it, goes on with the same stream."""
        self._end(stream=False)
        self.stop()
        before = self.log.epoch
        self.start()
        assert self.log.epoch == before

    def start(self) -> None:
        super().start()
        self.hub.restore(self.log.recent.last, self.log.newest)
        if self._late is not None:
            ring = self.log.ring
            ring.expire = lambda now: ring.clear(ring.newest)  # not even the newest block stays
        held = range(self._first, len(self.published) + 1)
        newest = {topic: offset for offset in held if (topic := self.published[offset - 1]) != NOBODYS}
        assert {message.topic: message.offset for message in self.hub.values.last(lambda topic: True)} == newest

    def make_log(self, **options: Any) -> Any:
        self._term += 1
        options |= {"settings": self._settings, "term": self._term}
        log: Any = self._runner.run(self._streams.log(self.hub.take, **options))
        for name in ("read", "reach", "offset_before", "offset_of_last"):
            setattr(log, name, self._in_turn(getattr(log, name)))
        return log

    @property
    def oldest(self) -> int:
        return min(self._first, int(self.log.oldest))

    def publish(self, topics: list[str], size: int) -> None:
        super().publish(topics, size)
        self._runner.run(settled(self.log))

    def tell(self) -> None:
        """The gateways tell each other something: a record with an offset, and nothing for a client."""
        self.published.append(NOBODYS)
        self.log.tell_gap("u")
        self._runner.run(settled(self.log))

    def expire(self, left: int) -> None:
        """The stream discards what is old; so many records are left. Answers that are owed tell of what was there."""
        for answer, _ in self._owed:
            self._runner.run(asyncio.wait_for(asyncio.shield(answer), 20))
        self._first = max(self._first, len(self.published) - left + 1)
        purge = f"{API}STREAM.PURGE.{self._settings.stream}"
        self._runner.run(self.log.client.ask(purge, {"seq": self._first}))

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def answer(self) -> None:
        answer, take = self._owed.popleft()
        take(self._runner.run(asyncio.wait_for(answer, 20)))

    def _in_turn(self, ask: Callable[..., None]) -> Callable[..., None]:
        """`ask`, whose answers within the call are passed on at once, and later ones in the order of questions."""

        def asked(*arguments: Any) -> None:
            *question, take = arguments
            answer: asyncio.Future[Any] = self._runner.get_loop().create_future()
            ask(*question, answer.set_result)
            if answer.done():
                take(answer.result())
            else:
                self._owed.append((answer, take))

        return asked

    def _end(self, *, stream: bool) -> None:
        self._owed.clear()
        self._runner.run(self._streams.drop(self.log, stream=stream))


@contextmanager
def stream_houses(nats: Nats) -> Iterator[Callable[..., StreamHouse]]:
    """A function that makes a house on a stream of its own, which ends with it."""
    streams = Streams(nats)
    with asyncio.Runner() as runner:
        try:
            yield lambda **options: StreamHouse(runner, streams, **options)
        finally:
            runner.run(streams.end())
