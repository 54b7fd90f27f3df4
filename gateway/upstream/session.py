"""The conversation of a link with a broker: CONNECT, SUBSCRIBE, PUBLISH, each with its answer or its end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gateway.config import Upstream
from gateway.errors import UpstreamError
from gateway.hub.ports import Publisher
from gateway.upstream.acknowledgements import Receipt
from gateway.upstream.address import Address
from gateway.upstream.bufferedsocket import OVERSIZE, TOPIC_ALIASES
from gateway.upstream.client import MqttClient
from gateway.upstream.connector import Connector
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames
from gateway.upstream.publishing import Terms
from gateway.upstream.subscriptions import Grant, granted, request

CONNECT_LIMIT = 10.0
ANSWER_LIMIT = 10.0

_UNSUPPORTED_VERSION = 0x84
_TAKEN_OVER = 0x8E
_SLOW_CODES = frozenset((0x85, 0x86, 0x87, 0x8A, 0x8C))  # client id, credentials, not authorized, banned, method


class VersionRefused(UpstreamError):
    """The broker does not speak this version of MQTT (`certain`), or answers it by closing."""

    certain = False


class TakenOver(UpstreamError):
    """Another client came with our client id; coming back at once would only throw that one out."""


class Accepted(NamedTuple):
    """What CONNACK said."""

    session_present: bool
    terms: Terms


class Session:
    """Conversations of one link, one at a time; QoS 1 and 2 state lives on in it where broker and settings allow.

    `accepted(session_present)`, `published(mid, failure)` and `probe(payload)` are called as the broker answers, the
    first of them before any message of the connection is handed on.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        publisher: Publisher,
        connector: Connector,
        counters: Counters,
        clock: Callable[[], float],
        payload_limit: int,
        accepted: Callable[[bool], None],
        published: Callable[[int, str | None], None],
        probe: Callable[[bytes], None],
    ) -> None:
        self._accepted = accepted
        self.published = published
        self.probe = probe
        self._loop = loop
        self._publisher = publisher
        self._connector = connector
        self._counters = counters
        self._clock = clock
        self.payload_limit = payload_limit
        self._remembered: list[Receipt] = []
        self._client: MqttClient | None = None
        self._answers: dict[int, asyncio.Future[Sequence[Any]]] = {}
        self._connack: asyncio.Future[tuple[Any, bool, Any]] | None = None
        self._lost: asyncio.Future[UpstreamError] = loop.create_future()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands as far as anybody knows."""
        return self._client is not None and self._client.connected

    @property
    def version_5(self) -> bool:
        """Whether MQTT 5 is spoken."""
        return self._client is not None and self._client.version_5

    def remember(self, receipts: list[Receipt]) -> None:
        """Messages of QoS 1 that an earlier run took in durably: sent again, they are acknowledged only."""
        self._remembered = receipts

    def keeps(self, settings: Upstream, version_5: bool, client_id: str) -> bool:
        """Whether a connection like this takes up what is unanswered of the one before."""
        client, clean = self._client, settings.session_expiry == 0
        return client is not None and (client.version_5, client.client_id, client.clean) == (
            version_5,
            client_id,
            clean,
        )

    async def connect(
        self,
        address: Address,
        settings: Upstream,
        *,
        version_5: bool,
        client_id: str,
        names: TopicNames,
        will: tuple[str, bytes] | None = None,
        own: str = "",
        aliases: bool = True,
    ) -> Accepted:
        """Connect to the broker at `address`. Raises VersionRefused, else UpstreamError, `slow` where it is final."""
        password = _password(settings)
        transport = await self._connector.open(
            address, settings.tls, limit=CONNECT_LIMIT, silence=settings.keepalive * 1.5
        )
        if not self.keeps(settings, version_5, client_id) or self._client is None:
            self._client = MqttClient(
                self._loop,
                upstream=settings.name,
                version_5=version_5,
                client_id=client_id,
                clean=settings.session_expiry == 0,
                publisher=self._publisher,
                events=self,
                counters=self._counters,
                clock=self._clock,
            )
            self._client.remember(self._remembered)
        self._lost = self._loop.create_future()
        self._connack = self._loop.create_future()
        self._client.open(
            transport,
            keepalive=settings.keepalive,
            properties=self._properties(settings, aliases),
            username=settings.username or None,
            password=password,
            will=will,
            names=names,
            own=own.encode(),
            payload_limit=self.payload_limit,
            linger=settings.linger,
        )
        try:
            code, session_present, properties = await self._answer(self._connack, "no CONNACK from the broker")
        except UpstreamError as error:
            if self._lost.done() and version_5:
                raise VersionRefused(f"{error.text} before CONNACK") from error
            raise
        if code.is_failure:
            text = f"the broker refused us: {code}"
            if code.value == _UNSUPPORTED_VERSION:
                refused = VersionRefused(text)
                refused.certain = True
                raise refused
            raise UpstreamError(text, slow=code.value in _SLOW_CODES)
        terms = Terms(
            getattr(properties, "MaximumQoS", 2),
            bool(getattr(properties, "RetainAvailable", 1)),
            getattr(properties, "MaximumPacketSize", Terms().maximum_packet),
        )
        return Accepted(session_present, terms)

    async def subscribe(self, filters: Sequence[tuple[str, int]], *, session_present: bool) -> Sequence[Grant]:
        """Subscribe and wait for what is granted. Raises UpstreamError."""
        if self._lost.done():
            raise self._lost.result()
        if not filters or self._client is None:
            return ()
        future: asyncio.Future[Sequence[Any]] = self._loop.create_future()
        mid = self._client.subscribe(request(filters, version_5=self.version_5, session_present=session_present))
        self._answers[mid] = future
        return granted(filters, await self._answer(future, "no SUBACK from the broker"))

    def unsubscribe(self, filters: list[str]) -> None:
        if filters and self._client is not None:
            self._client.unsubscribe(filters)

    def rename(self, names: TopicNames) -> None:
        """Judge topics by other rules from the next message on."""
        if self._client is not None:
            self._client.rename(names)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message to the client; returns the packet identifier. Raises UpstreamError, ValueError."""
        if self._client is None or not self._client.connected:
            raise UpstreamError("not connected")
        return self._client.publish(topic, payload, qos, retain)

    async def wait_lost(self) -> UpstreamError:
        """Wait until the connection is over, and why."""
        return await asyncio.shield(self._lost)

    def drop(self, reason: str) -> None:
        """End the connection at once, where there is one."""
        self._answers.clear()
        if self._client is not None:
            self._client.abort(reason)

    async def close(self, limit: float) -> None:
        """Say goodbye and wait up to `limit` seconds until it is out."""
        if self._client is not None and self._client.connected and not self._lost.done():
            self._client.disconnect()
            await asyncio.wait({self._lost}, timeout=limit)
        self.drop("stopped")

    async def _answer(self, future: "asyncio.Future[Any]", what: str) -> Any:
        """The result of `future`, unless the connection is lost or the broker keeps silent. Raises UpstreamError."""
        await asyncio.wait({future, self._lost}, timeout=ANSWER_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if self._lost.done():
            raise self._lost.result()
        raise UpstreamError(f"{what} within {ANSWER_LIMIT:g} s")

    def _properties(self, settings: Upstream, aliases: bool) -> dict[str, int]:
        properties = {
            "SessionExpiryInterval": min(int(settings.session_expiry), 0xFFFFFFFF),
            "ReceiveMaximum": settings.receive_maximum,
            "MaximumPacketSize": self.payload_limit + OVERSIZE,
        }
        return {**properties, "TopicAliasMaximum": TOPIC_ALIASES} if aliases else properties

    # What the client tells (client.Events)

    def connack(self, code: Any, session_present: bool, properties: Any) -> None:
        if self._connack is not None and not self._connack.done():
            if not code.is_failure:
                self._accepted(session_present)
            self._connack.set_result((code, session_present, properties))

    def suback(self, mid: int, codes: Sequence[Any]) -> None:
        future = self._answers.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(codes)

    def lost(self, reason: str, code: int | None) -> None:
        if self._lost.done():
            return
        if code == _TAKEN_OVER:
            self._counters.takeovers += 1
            client_id = self._client.client_id if self._client is not None else ""
            error: UpstreamError = TakenOver(f"another client has come with our client id, {client_id}", slow=True)
        else:
            error = UpstreamError(reason, slow=code in _SLOW_CODES)
        self._lost.set_result(error)


def _password(settings: Upstream) -> str | None:
    """Read anew at every connect, so that a rotated one needs no reload."""
    file = settings.password_file
    if file is None:
        return None
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise UpstreamError(f"password file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UpstreamError(f"password file {file} is not UTF-8") from error
