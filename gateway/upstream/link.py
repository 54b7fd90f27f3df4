"""One upstream's life: connect, subscribe, fail over, probe, come back. The only owner of reconnects."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from gateway.config import Upstream, UpstreamTopic
from gateway.errors import UpstreamError
from gateway.hub.message import Message
from gateway.hub.ports import BLIND, CONNECTED, CONNECTING, REFUSED, WAITING, Publisher, UpstreamListener, UpstreamState
from gateway.upstream.address import Address, parse
from gateway.upstream.announcer import Announcer
from gateway.upstream.attempts import Attempts
from gateway.upstream.client import CLOSED
from gateway.upstream.connector import Connector
from gateway.upstream.counters import Counters
from gateway.upstream.failback import watch_first
from gateway.upstream.following import Following
from gateway.upstream.held import Held
from gateway.upstream.helpers import Helpers
from gateway.upstream.losses import Losses
from gateway.upstream.pahocheck import verify_paho
from gateway.upstream.presence import Presence
from gateway.upstream.publishing import Done, Outgoing
from gateway.upstream.session import Accepted, Session, TakenOver
from gateway.upstream.sight import Sight
from gateway.upstream.subscriptions import Grant
from gateway.upstream.versions import Versions

logger = logging.getLogger("gateway.upstream")

STOP_LIMIT = 1.0
SUSPICIOUS = 3


class Link:
    """One `[[upstream]]`. Made anywhere, used on the loop only.

    Messages go to `publisher`, changes of state to `listener`. `gateway` is the gateway's name, for its own topics.
    `durable`: QoS 1 is acknowledged when the publisher says so, and QoS 2 filters are subscribed at QoS 1.
    `shared`: other gateways take turns with this one over one log, which has the last values whoever took them in.
    `held` remembers what brokers' sessions hold, for all links.
    """

    def __init__(
        self,
        settings: Upstream,
        *,
        publisher: Publisher,
        listener: UpstreamListener,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.time,
        gateway: str = "sensor-gateway",
        payload_limit: int = 256 * 1024,
        durable: bool = False,
        shared: bool = False,
        held: Held | None = None,
    ) -> None:
        self.counters = Counters()
        self._settings = settings
        self._loop = loop
        self._gateway = gateway
        self._durable = durable
        self._shared = shared
        self._following = Following(settings, durable=durable, own=self._canary_topic(), held=held or Held())
        self._announcer = Announcer(settings.name, listener, clock)
        self._connector = Connector(settings.name, loop, clock)
        self._outgoing = Outgoing(loop, self.counters, self._send)
        self._losses = Losses(self._following, self.counters, self._announcer.lost_messages, continues=shared)
        self._session = Session(
            loop,
            publisher=publisher,
            connector=self._connector,
            counters=self.counters,
            clock=clock,
            payload_limit=payload_limit,
            accepted=self._losses.accepted,
            published=self._outgoing.published,
            probe=self._came_back,
        )
        self._attempts = Attempts(settings)
        self._helpers = Helpers(loop, settings.name, self._session.drop)
        self._presence = self._make_presence()
        self._sight = self._make_sight()
        self._versions = Versions(settings.protocol, loop.time)
        self._details = ""
        self._connections = 0
        self._short = 0  # connections in a row that did not stand for `backoff.stable`
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    # For the daemon

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def settings(self) -> Upstream:
        return self._settings

    @property
    def state(self) -> UpstreamState:
        return self._announcer.state

    @property
    def grants(self) -> Sequence[Grant]:
        """What the broker answered to each filter."""
        return self._following.grants

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the filters."""
        return self.state.state in (CONNECTED, BLIND)

    @property
    def clock_suspect(self) -> bool:
        """Whether the broker's certificate is not valid yet by this box's clock."""
        return self._connector.clock_suspect

    def take_up(self) -> None:
        """Viewers have had messages of this upstream by an earlier run of the gateway."""
        self._losses.continues = True

    def remember(self, messages: Sequence[Message]) -> None:
        """Before `start`: the last QoS 1 messages of an earlier run that are durable, the newest last."""
        self._session.remember([(m.mid, m.topic, hash(m.payload) if m.payload else m.size) for m in messages])

    def start(self) -> None:
        """Begin to connect, and go on for ever. Raises UpstreamError where this paho cannot be driven."""
        verify_paho()
        if self._durable and any(topic.qos == 2 for topic in self._settings.topics):
            logger.warning("upstream %s: with history.durable filters of QoS 2 are subscribed at QoS 1", self.name)
        self._task = self._loop.create_task(self._run(), name=f"upstream-{self.name}")

    async def stop(self) -> None:
        """Say goodbye to the broker (`offline`, DISCONNECT) and end, within about a second."""
        self._stopping = True
        self._presence.leave()
        await self._session.close(STOP_LIMIT)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._clear()
        self._outgoing.close()

    def reload(self, settings: Upstream) -> None:
        """Take over new settings (of the same name): other filters within the connection, the rest by a new one."""
        old, self._settings = self._settings, settings
        self._attempts.take_over(settings)
        if replace(old, backoff=settings.backoff, prefer_first=settings.prefer_first) == settings:
            return
        self._following.take_over(settings, self._canary_topic())
        if replace(old, topics=settings.topics) == settings and self._session.connected:
            self._helpers.begin(self._change_filters(old.topics))
            return
        self._versions = Versions(settings.protocol, self._loop.time)
        self._presence = self._make_presence()
        self._sight.stop()  # the probe of the one before would come back to this one, and count as missed
        self._sight = self._make_sight()
        self._attempts.first_url()
        self._announcer.change(CONNECTING, reason="the configuration has changed")
        # At once: what comes from here on belongs to whoever follows next.
        self._session.drop("the configuration has changed")
        if self._task is not None:
            # Not by way of the old task: it may be waiting for an address that was wrong.
            self._task.cancel()
            self._task = self._loop.create_task(self._start_anew(self._task), name=f"upstream-{self.name}")

    async def _start_anew(self, old: asyncio.Task[None]) -> None:
        await asyncio.wait({old})
        await self._run()

    def limit(self, payload: int) -> None:
        """Pass on payloads up to so many bytes: the broker is told at a new connection."""
        self._session.payload_limit = payload
        self.reconnect("limits.payload has changed")

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Done) -> None:
        """See UpstreamSender; `topic` is the viewers' one, with the prefix of this upstream."""
        bare = topic.removeprefix(self._settings.prefix)
        self._outgoing.publish(bare, payload, qos=qos, retain=retain, done=done)

    # The life

    async def _run(self) -> None:
        while not self._stopping:
            failures: list[UpstreamError] = []
            address = parse(self._attempts.url)
            for _ in self._settings.urls:
                address = parse(self._attempts.url)
                try:
                    await self._connect(address)
                    failures = [await self._stay(address)]
                    if self._settings.prefer_first:
                        self._attempts.first_url()
                    break
                except UpstreamError as error:
                    self.counters.failures += 1
                    failures.append(error)
                except Exception:  # whatever is wrong in here: a gateway that gave up would be blind for ever
                    logger.exception("upstream %s: a fault in the gateway; it goes on", self.name)
                    failures.append(UpstreamError("a fault in the gateway: see the log"))
                finally:
                    self._clear()
                self._attempts.next_url()
            if not self._stopping:
                await self._pause(failures, address)

    async def _pause(self, failures: list[UpstreamError], address: Address) -> None:
        error, delay = failures[-1], self._attempts.delay_after(failures)
        refused = error.slow and not isinstance(error, TakenOver)
        if not (self._sight.is_blind and self._attempts.is_hurried):
            self._announcer.change(REFUSED if refused else WAITING, url=address.url, reason=error.text, retry_in=delay)
        await self._attempts.wait(delay)

    async def _connect(self, address: Address) -> None:
        """Connect and subscribe, and say so. Raises UpstreamError."""
        settings = self._settings
        if settings.tls.insecure and address.tls:
            logger.warning("upstream %s: tls.insecure: any certificate of %s is believed", self.name, address.url)
        accepted = await self._versions.speak(address.url, partial(self._open, address))
        # A process that has just begun lacks last values, whatever session the broker kept for the one before it: a
        # history on disk need not reach back to what was retained long ago.
        resumed = accepted.session_present and (self._shared or self._connections > 0)
        held_by = f"{settings.client_id}{self._sight.suffix} {address.url}"
        self._following.take_up(self._session, held_by, kept=accepted.session_present)
        await self._following.subscribe(self._session, session_present=resumed)
        if self._following.is_all_refused:
            raise UpstreamError(self._following.refusals(), slow=True)
        self._arrived(address, accepted)

    async def _open(self, address: Address, version_5: bool) -> Accepted:
        settings = self._settings
        client_id = settings.client_id + self._sight.suffix
        if not self._session.keeps(settings, version_5, client_id):
            self._outgoing.lost(resent=False)
        return await self._session.connect(
            address,
            settings,
            version_5=version_5,
            client_id=client_id,
            names=self._following.names,
            will=self._presence.will,
            own=self._following.own,
            # paho takes in QoS 2 itself and knows no aliases.
            aliases=all(qos < 2 for _, qos in self._following.wanted()),
        )

    def _arrived(self, address: Address, accepted: Accepted) -> None:
        """Connected and subscribed: say so, and do what waited for it."""
        self._connections += 1
        self._sight.allow(not self._following.is_probe_refused)
        version = "MQTT 5" if self._session.version_5 else "MQTT 3.1.1"
        self._details = f"{version}, session {'resumed' if accepted.session_present else 'new'}"
        if not self._sight.is_blind:
            self._tell_connected(address.url)
        if self._connections > 1:
            self.counters.reconnects += 1
        self._losses.subscribed(accepted.session_present)
        self._presence.born(accepted.terms)
        self._outgoing.connected(accepted.terms)
        self._sight.start()

    async def _stay(self, address: Address) -> UpstreamError:
        """Until the connection is lost, and why."""
        stable = self._loop.call_later(self._settings.backoff.stable, self._stands)
        if self._settings.prefer_first and address.url != self._settings.urls[0]:
            self._helpers.begin(self._go_back())
        try:
            error = await self._session.wait_lost()
        finally:
            stable.cancel()
        if self._presence.is_to_blame() and not self._stopping:
            return UpstreamError("broker closed after our birth message: not allowed to publish?", slow=error.slow)
        self._short += 1
        if self._short >= SUSPICIOUS and error.text == CLOSED:
            client_id = self._settings.client_id + self._sight.suffix
            text = (
                f"{error.text}, as it does soon after every connect: is there another client with the id {client_id}?"
            )
            return UpstreamError(text, slow=error.slow)
        return error

    def _stands(self) -> None:
        """The connection has stood for `backoff.stable`."""
        self._short = 0
        self._attempts.stable()

    def _clear(self) -> None:
        """End what belongs to a connection."""
        self._helpers.end()
        self._sight.stop()
        self._session.drop("given up")
        self._outgoing.lost(resent=True)
        self._presence.lost()

    def _tell_connected(self, url: str | None) -> None:
        following = self._following
        details = f"{self._details}, {following.summary()}"
        self._announcer.change(CONNECTED, url=url, reason=following.refusals() or None, details=details)

    # Our own messages

    def _canary_topic(self) -> str:
        return f"sensor-gateway/{self._gateway}/canary" if self._settings.canary else ""

    def _make_presence(self) -> Presence:
        return Presence(self._loop, self._session, self._settings.status, self._gateway)

    def _make_sight(self) -> Sight:
        return Sight(self._loop, self.name, self._settings.canary, self.counters, self)

    def _send(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        return self._session.publish(topic, payload, qos, retain)

    def _came_back(self, payload: bytes) -> None:
        self._sight.came_back(payload)

    # For the sight (sight.Patient)

    def send_probe(self, payload: bytes) -> None:
        if self._session.connected:
            self._session.publish(self._following.own, payload, 0, False)

    def blinded(self) -> None:
        self._announcer.change(BLIND, url=self.state.url, reason="connected, but our own probe does not come back")

    def sees_again(self) -> None:
        self._tell_connected(self.state.url)

    def resubscribe(self) -> None:
        self._helpers.begin(self._resubscribe())

    def reconnect(self, reason: str) -> None:
        """Connect anew without waiting."""
        self._attempts.hurry()
        self._session.drop(reason)

    async def _resubscribe(self) -> None:
        await self._following.subscribe(self._session, session_present=False)
        if self._following.is_all_refused:
            raise UpstreamError(self._following.refusals(), slow=True)
        self._sight.allow(not self._following.is_probe_refused)
        if not self._sight.is_blind:
            self._tell_connected(self.state.url)
        self._sight.start()

    # Beside the connection

    async def _change_filters(self, before: Sequence[UpstreamTopic]) -> None:
        await self._following.change(self._session, before)
        self._tell_connected(self.state.url)

    async def _go_back(self) -> None:
        """While we are at another url: back to the first one, once it answers."""
        first = await watch_first(self._settings, self._versions, connector=self._connector, loop=self._loop)
        self.reconnect(f"going back to {first}, which answers again")
