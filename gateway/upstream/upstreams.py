"""All links together: their states, and which of them a client's message goes out by."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence

from gateway.config import Upstream
from gateway.errors import CommandError
from gateway.hub.message import Message
from gateway.hub.ports import Publisher, Turns, UpstreamListener, UpstreamState
from gateway.upstream.held import Held
from gateway.upstream.link import Link
from gateway.upstream.standby import standby


class Upstreams:
    """The links of a configuration. Is UpstreamStatus and UpstreamSender for the rest of the house.

    `payload_limit` is `[limits] payload` in bytes, `gateway` the gateway's name. `durable`: QoS 1 is acknowledged once
    the publisher says so. `turns` says who of several gateways follows an upstream with `ingest = "one"`; until it is
    this one's turn, and with `ingest = "none"` always, its link follows nothing and only takes viewers' messages out.
    `held` remembers what brokers' sessions hold, beyond a restart where it has a file.
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
        turns: Turns | None = None,
        held: Held | None = None,
    ) -> None:
        self._held = held or Held()
        self._turns = turns
        self._mark = secrets.token_hex(4)
        self._following: set[str] = set()
        self._settings = {each.name: each for each in settings}
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
    def settings(self) -> Sequence[Upstream]:
        """As they are followed now."""
        return tuple(self._settings.values())

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

    def take_up(self, last: Sequence[Message]) -> None:
        """Before `start`: the last values of an earlier run. What an upstream of theirs lost since is to be told."""
        known = {message.upstream for message in last}
        for name, link in self._links.items():
            if name in known:
                link.take_up()

    def start(self) -> None:
        """Let every link connect. Raises UpstreamError where paho cannot be driven."""
        for link in self._links.values():
            link.start()
        for settings in self._settings.values():
            self._take_part(settings)

    async def stop(self) -> None:
        """Say goodbye to all brokers, within about a second, and leave them to other gateways."""
        await asyncio.gather(*(link.stop() for link in self._links.values()))
        await asyncio.gather(*(self._leave(name) for name in self._settings))

    async def reload(self, settings: Sequence[Upstream], *, payload_limit: int | None = None) -> None:
        """Links by the same name take over their new settings, others come and go; another limit makes them anew."""
        if payload_limit is not None and payload_limit != self._payload_limit:
            self._payload_limit = payload_limit
            for present in self._links.values():
                present.limit(payload_limit)
        turned = {each.name for each in settings if self._turns_round(each)}
        # All links stay in their places meanwhile: other upstreams' turns may begin and end.
        for name in turned:
            self._links[name].reload(standby(self._settings[name], self._mark))
            await self._leave(name)
        before, self._links = self._links, {}
        self._settings = {each.name: each for each in settings}
        for each in settings:
            link = before.pop(each.name, None)
            if link is None:
                link = self._make(each)
                link.start()
                self._take_part(each)
            else:
                if each.name in turned:
                    self._take_part(each)
                link.reload(self._role(each))
            self._links[each.name] = link
        await asyncio.gather(*(link.stop() for link in before.values()))
        await asyncio.gather(*(self._leave(name) for name in before))

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Callable[[CommandError | None], None]
    ) -> None:
        """By the link whose prefix fits best; of several equals, by the first. See UpstreamSender."""
        fitting = [link for link in self._links.values() if topic.startswith(link.settings.prefix)]
        if fitting:
            link = max(fitting, key=lambda each: len(each.settings.prefix))
            link.publish(topic, payload, qos=qos, retain=retain, done=done)
        else:
            done(CommandError("unsupported", "no upstream has a prefix that this topic begins with"))

    def follows(self, name: str) -> bool:
        """Whether this gateway follows the upstream, and not another one, or nobody."""
        settings = self._settings.get(name)
        return settings is not None and (settings.ingest in ("auto", "own") or name in self._following)

    def may_follow(self, name: str) -> bool:
        """Whether this gateway ever follows the upstream: not where devices publish to the log themselves."""
        settings = self._settings.get(name)
        return settings is not None and settings.ingest != "none"

    def _turns_round(self, settings: Upstream) -> bool:
        """Whether another one follows an upstream from now on."""
        present = self._settings.get(settings.name)
        return present is not None and present.ingest != settings.ingest

    def _role(self, settings: Upstream) -> Upstream:
        """The settings of the link: to follow, or to stand by."""
        return settings if self.follows(settings.name) else standby(settings, self._mark)

    def _take_part(self, settings: Upstream) -> None:
        if settings.ingest == "one" and self._turns is not None:
            name = settings.name
            self._turns.campaign(name, lambda recent: self._begin(name, recent), lambda: self._end(name))

    async def _leave(self, name: str) -> None:
        # First: what the link meets from here on, in a session of its own, is no loss of anybody's.
        self._following.discard(name)
        if self._turns is not None:
            await self._turns.withdraw(name)

    def _begin(self, name: str, recent: list[Message]) -> None:
        """It is this gateway's turn: the broker hands its session over, and sends again what was not acknowledged."""
        link = self._links.get(name)
        if link is None:
            return  # a reload takes it away at this moment
        self._following.add(name)
        link.remember([message for message in recent if message.mid])
        link.reload(self._settings[name])

    def _end(self, name: str) -> None:
        """Another gateway has it: nothing more is read from the broker, nothing more acknowledged."""
        self._following.discard(name)
        if name in self._links:
            self._links[name].reload(standby(self._settings[name], self._mark))

    def _make(self, settings: Upstream) -> Link:
        return Link(
            self._role(settings),
            publisher=self._publisher,
            listener=self._listener,
            loop=self._loop,
            clock=self._clock,
            gateway=self._gateway,
            payload_limit=self._payload_limit,
            durable=self._durable,
            shared=self._turns is not None,
            held=self._held,
        )
