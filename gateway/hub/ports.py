"""Protocols by which upstream, edge and operations meet; the daemon hands each its partner."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.errors import CommandError
from gateway.hub.message import Message

CONNECTED = "connected"
CONNECTING = "connecting"
WAITING = "waiting"
REFUSED = "refused"
BLIND = "blind"


class UpstreamState(msgspec.Struct, frozen=True):
    """One broker link as viewers see it.

    `state` is connected, connecting, waiting (for the next try), refused (credentials or permissions), or blind
    (connected, but nothing comes back); `since` is Unix time; `retry_in` is in seconds, None when not waiting.
    `url` and `reason` are for those with the right `gateway` only.
    """

    name: str
    state: str
    since: float
    retry_in: float | None = None
    url: str | None = None
    reason: str | None = None


class Publisher(Protocol):
    """Where a link puts what it receives."""

    @property
    def busy(self) -> bool:
        """Whether the hub is behind: leave the rest in the socket, so that TCP pushes back on the broker."""

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        """Take in messages of one link, in order; `durable` is called once all may be acknowledged to the broker."""


class Observer(Protocol):
    """Who wants to see the messages of some topics whether anybody watches or not."""

    @property
    def generation(self) -> int:
        """Changes whenever a topic that it did not want may be wanted now."""

    def observe(self, message: Message) -> bool:
        """See a message; False where messages of this topic are not wanted."""


class UpstreamListener(Protocol):
    """Who wants to know how the links are."""

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link changed its state."""

    def upstream_gap(self, name: str) -> None:
        """A link lost messages that nobody can count (session not present after a reconnect)."""


class UpstreamSender(Protocol):
    """Where a client's publish goes."""

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Callable[[CommandError | None], None]
    ) -> None:
        """Publish to the broker; `done(None)` once the broker has it, `done(failure)` where it never will."""


class UpstreamStatus(Protocol):
    """How the links are now."""

    def states(self) -> Sequence[UpstreamState]:
        """The state of every link, in the order of the configuration."""


class Turns(Protocol):
    """Who of several gateways behind one log follows an upstream: one at a time."""

    def campaign(self, upstream: str, begin: Callable[[list[Message]], None], end: Callable[[], None]) -> None:
        """Try for it from now on. `begin` is told when it is ours, with the newest QoS 1 messages that the log has of
        it, the newest last; `end` when another gateway has it: nothing is taken in from then on."""

    async def withdraw(self, upstream: str) -> None:
        """Store what was taken in, and leave it to another gateway."""
