"""All links together: their states, and which of them a client's message goes out by."""

import asyncio
import time
from collections.abc import Callable, Sequence

from gateway.config import Upstream
from gateway.hub.message import Message
from gateway.hub.ports import Publisher, UpstreamListener, UpstreamState
from gateway.upstream.link import Link


class Upstreams:
    """The links of a configuration. Is UpstreamStatus and UpstreamSender for the rest of the house.

    `payload_limit` is `[limits] payload` in bytes, `durable` is `history.durable`, `gateway` the gateway's name.
    """

    def __init__(
        self,
        settings: Sequence[Upstream],
        *,
        publisher: Publisher,
        listener: UpstreamListener,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.time,
        gateway: str = "sensor-gateway",
        payload_limit: int = 256 * 1024,
        durable: bool = False,
    ) -> None:
        self._publisher = publisher
        self._listener = listener
        self._loop = loop
        self._clock = clock
        self._gateway = gateway
        self._payload_limit = payload_limit
        self._durable = durable
        self._links = {each.name: self._make(each) for each in settings}

    @property
    def links(self) -> Sequence[Link]:
        """In the order of the configuration."""
        return tuple(self._links.values())

    @property
    def clock_suspect(self) -> bool:
        """Whether a broker's certificate is not valid yet by this box's clock."""
        return any(link.clock_suspect for link in self._links.values())

    @property
    def live(self) -> bool:
        """Whether at least one link brings messages."""
        return any(link.connected for link in self._links.values())

    def states(self) -> Sequence[UpstreamState]:
        """The state of every link, in the order of the configuration."""
        return [link.state for link in self._links.values()]

    def remember(self, messages: Sequence[Message]) -> None:
        """Before `start`: the last QoS 1 messages (with their `mid`) that a durable log holds, the newest last.

        What the broker sends again of them after a kill is acknowledged, and not published a second time.
        """
        for name, link in self._links.items():
            link.remember([message for message in messages if message.upstream == name and message.mid])

    def start(self) -> None:
        """Let every link connect. Raises UpstreamError where paho cannot be driven."""
        for link in self._links.values():
            link.start()

    async def stop(self) -> None:
        """Say goodbye to all brokers, within about a second."""
        await asyncio.gather(*(link.stop() for link in self._links.values()))

    async def reload(self, settings: Sequence[Upstream], *, payload_limit: int | None = None) -> None:
        """Links by the same name take over their new settings, others come and go; another limit makes them anew."""
        if payload_limit is not None and payload_limit != self._payload_limit:
            self._payload_limit = payload_limit
            for present in self._links.values():
                present.limit(payload_limit)
        before, self._links = self._links, {}
        for each in settings:
            link = before.pop(each.name, None)
            if link is None:
                link = self._make(each)
                link.start()
            else:
                link.reload(each)
            self._links[each.name] = link
        await asyncio.gather(*(link.stop() for link in before.values()))

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Callable[[str | None], None]
    ) -> None:
        """By the link whose prefix fits best; of several equals, by the first. See UpstreamSender."""
        fitting = [link for link in self._links.values() if topic.startswith(link.settings.prefix)]
        if fitting:
            link = max(fitting, key=lambda each: len(each.settings.prefix))
            link.publish(topic, payload, qos=qos, retain=retain, done=done)
        else:
            done("no upstream has a prefix that this topic begins with")

    def _make(self, settings: Upstream) -> Link:
        return Link(
            settings,
            publisher=self._publisher,
            listener=self._listener,
            loop=self._loop,
            clock=self._clock,
            gateway=self._gateway,
            payload_limit=self._payload_limit,
            durable=self._durable,
        )
