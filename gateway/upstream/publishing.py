"""Messages from clients on their way to the broker: bounded, answered once, honest about the broker's limits."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.errors import CommandError, UpstreamError
from gateway.topics import validate_topic
from gateway.upstream.counters import Counters

MOST = 1000
MOST_BYTES = 4 * 1024 * 1024
PATIENCE = 30.0
"""Seconds that a message waits for the link to come back: a command for a valve must not open it an hour later."""
DOWN = "the link to the broker is down"

Done = Callable[[CommandError | None], None]


class Terms(NamedTuple):
    """What the broker said in CONNACK that it takes (MQTT 5.0, 3.2.2.3)."""

    maximum_qos: int = 2
    retain: bool = True
    maximum_packet: int = 268_435_460


class _Item(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    done: Done
    deadline: float


class Outgoing:
    """The queue of one link. `send` hands a message to the client and returns its packet identifier."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        send: Callable[[str, bytes, int, bool], int],
        *,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        patience: float = PATIENCE,
    ) -> None:
        self._loop = loop
        self._counters = counters
        self._send = send
        self._most = most
        self._most_bytes = most_bytes
        self._patience = patience
        self._terms: Terms | None = None  # None while the link is down
        self._waiting: deque[_Item] = deque()
        self._sent: dict[int, _Item] = {}
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> int:
        """Messages without an answer."""
        return len(self._waiting) + len(self._sent)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Done) -> None:
        """Send a message, or keep it while the link is down. `done` gets None or the failure, now or later, once."""
        try:
            validate_topic(topic)
        except ValueError as error:
            self._answer(done, CommandError("bad-filter", str(error)))
            return
        if self.pending >= self._most or self._bytes + len(payload) > self._most_bytes:
            behind = CommandError("too-fast", "the broker is behind")
            self._answer(done, behind if self._terms is not None else _down(f"{DOWN}, and too much waits for it"))
            return
        item = _Item(topic, payload, qos, retain, done, self._loop.time() + self._patience)
        self._bytes += len(payload)
        if self._terms is not None:
            self._hand_over(item, self._terms)
        else:
            self._waiting.append(item)
            if self._timer is None:
                self._timer = self._loop.call_at(item.deadline, self._expire)

    def connected(self, terms: Terms) -> None:
        """The link is up: send what waits."""
        self._terms = terms
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._terms is not None:
            self._hand_over(self._waiting.popleft(), terms)

    def published(self, mid: int, failure: str | None) -> None:
        """The broker has the message with this packet identifier, or refused it."""
        item = self._sent.pop(mid, None)
        if item is not None:
            self._settle(item, CommandError("forbidden", f"the broker refused it: {failure}") if failure else None)

    def lost(self, *, resent: bool) -> None:
        """The link is down. QoS 1 and 2 are sent again by the client where it is `resent`, else from here."""
        self._terms = None
        again: list[_Item] = []
        for mid, item in list(self._sent.items()):
            if item.qos == 0:
                del self._sent[mid]
                self._settle(item, _down(f"{DOWN}: lost before it was sent"))
            elif not resent:
                del self._sent[mid]
                again.append(item)
        # Before what came since: of two commands to a valve the later one has to win.
        self._waiting.extendleft(reversed(again))
        if self._waiting and (again or self._timer is None):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._waiting[0].deadline, self._expire)

    def close(self) -> None:
        """Nothing will be sent any more."""
        self._terms = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        items = [*self._sent.values(), *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        for item in items:
            self._settle(item, _down("the gateway is stopping"))

    def _hand_over(self, item: _Item, terms: Terms) -> None:
        if item.qos > terms.maximum_qos:
            self._settle(item, CommandError("unsupported", f"the broker takes QoS {terms.maximum_qos} at most"))
        elif item.retain and not terms.retain:
            self._settle(item, CommandError("unsupported", "the broker keeps no retained messages"))
        elif len(item.payload) + len(item.topic.encode()) + 16 > terms.maximum_packet:
            self._settle(
                item, CommandError("too-large", f"the broker takes packets of {terms.maximum_packet} bytes at most")
            )
        else:
            try:
                mid = self._send(item.topic, item.payload, item.qos, item.retain)
            except UpstreamError:
                self._terms = None
                self._waiting.appendleft(item)
            except ValueError as error:
                self._settle(item, CommandError("unsupported", str(error)))
            else:
                self._sent[mid] = item

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._waiting and self._waiting[0].deadline <= now:
            self._settle(self._waiting.popleft(), _down(f"{DOWN} for more than {self._patience:g} s"))
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0].deadline, self._expire)

    def _settle(self, item: _Item, failure: CommandError | None) -> None:
        self._bytes -= len(item.payload)
        self._answer(item.done, failure)

    def _answer(self, done: Done, failure: CommandError | None) -> None:
        if failure is None:
            self._counters.published += 1
        else:
            self._counters.publish_failures += 1
        done(failure)


def _down(text: str) -> CommandError:
    return CommandError("upstream-down", text)
