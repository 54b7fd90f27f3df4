"""A publisher and listener of a link that a test can wait on, and settings of a link that comes back quickly."""

import asyncio
from collections.abc import Callable

from gateway.config import Backoff, Upstream, UpstreamTopic
from gateway.errors import CommandError
from gateway.hub.message import Message
from gateway.hub.ports import UpstreamState
from gateway.upstream.link import Link

QUICK = Backoff(min=0.05, max=0.2, stable=30.0)


class Collector:
    """Publisher and listener of a link: keeps everything, and wakes whoever waits `until`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.states: list[UpstreamState] = []
        self.gaps: list[str] = []
        self.answers: list[str | None] = []
        self.batches: list[int] = []
        self.durables: list[Callable[[], None]] = []
        self.busy = False
        self.hold = False  # keep `durable` calls for the test
        self._changed = asyncio.Event()

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        self.messages += messages
        self.batches.append(len(messages))
        if durable is not None:
            if self.hold:
                self.durables.append(durable)
            else:
                durable()
        self._changed.set()

    def upstream_changed(self, state: UpstreamState) -> None:
        self.states.append(state)
        self._changed.set()

    def upstream_gap(self, name: str) -> None:
        self.gaps.append(name)
        self._changed.set()

    def done(self, failure: CommandError | None) -> None:
        """For a link's `publish`."""
        self.answers.append(None if failure is None else str(failure))
        self._changed.set()

    @property
    def history(self) -> list[str]:
        """The states so far, by name."""
        return [state.state for state in self.states]

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    async def until(self, condition: Callable[[], object], limit: float = 10.0) -> None:
        """Wait until `condition` holds; looked at whenever the link has told something."""
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {limit:g} s; states: {self.states[-5:]}") from None

    async def connected(self, limit: float = 10.0) -> None:
        """Wait until the link is connected now."""
        await self.until(lambda: self.states and self.states[-1].state == "connected", limit)

    async def disconnected(self, limit: float = 10.0) -> UpstreamState:
        """Wait until the link is not connected now; returns the state."""
        await self.until(lambda: self.states and self.states[-1].state != "connected", limit)
        return self.states[-1]


def settings(*urls: str, topics: tuple[UpstreamTopic, ...] = (UpstreamTopic(qos=1),), **changes: object) -> Upstream:
    """Settings of an upstream that comes back quickly."""
    values: dict[str, object] = {"client_id": "gateway-under-test", "backoff": QUICK, **changes}
    return Upstream(urls=urls, topics=topics, **values)  # type: ignore[arg-type]


MakeLink = Callable[..., Link]
