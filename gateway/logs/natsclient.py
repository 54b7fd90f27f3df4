"""The connection to a NATS cluster: kept up for ever, requests with an answer or a reason."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.config import JetStream
from gateway.logs.answers import NOT_FOUND, Refusal, Unanswered, answer_of
from gateway.logs.ending import tell_fault
from gateway.logs.natspy import Connection, Msg, NatsError, Outgoing
from gateway.logs.signingin import advice, sign_in

logger = logging.getLogger("gateway.history")

API = "$JS.API."
WAIT = 2.0  # seconds for an answer
PING = 2.0  # seconds between pings; two that are not answered end a connection
RECONNECT = 0.25
PENDING = 8 * 1024 * 1024

Received = Callable[[Msg], Awaitable[None]]


class NatsClient:
    """One connection for everything. `changed(connected)` is told when it is lost and when it is back.

    `failure` is what kept it from connecting last.
    """

    def __init__(self, settings: JetStream, *, name: str, changed: Callable[[bool], None]) -> None:
        self._settings = settings
        self._name = name
        self._changed = changed
        self._client = Connection()
        self.failure = ""
        self._begun = False
        self._closing = False

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    @property
    def max_payload(self) -> int:
        """Bytes of headers and payload together that the servers take."""
        return int(self._client.max_payload)

    async def connect(self) -> None:
        """Connect, however long it takes. Raises GatewayError where a certificate cannot be read."""
        settings = self._settings
        # nats-py says int where it takes float.
        options: dict[str, Any] = {"reconnect_time_wait": RECONNECT, "connect_timeout": WAIT, "ping_interval": PING}
        options |= sign_in(settings, self._client)
        self._begun = True
        await self._client.connect(
            servers=list(settings.urls),
            name=f"sensor-gateway {self._name}",
            error_cb=self._failed,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
            max_reconnect_attempts=-1,
            max_outstanding_pings=2,
            pending_size=PENDING,
            **options,
        )
        self.failure = ""

    async def close(self) -> None:
        """End the connection."""
        self._closing = True
        if self._begun:
            await self._client.close()

    def inbox(self) -> str:
        """A subject of our own for answers."""
        return str(self._client.new_inbox())

    async def subscribe(self, subject: str, received: Received) -> Any:
        """Have `received` called with every message of `subject`, one after the other. Raises Unanswered."""
        try:
            # Unlimited: what JetStream sends is bounded by its flow control.
            return await self._client.subscribe(subject, cb=received, pending_msgs_limit=0, pending_bytes_limit=0)
        except NatsError as error:
            raise Unanswered(_text(error)) from error

    async def publish(
        self, subject: str, payload: bytes = b"", *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a message on its way. Raises Unanswered where there is no connection."""
        if not self._client.is_connected:
            # nats-py would keep it for later, behind what is sent anew by then.
            raise Unanswered("no connection to NATS")
        try:
            await self._client.publish(subject, payload, reply, headers)  # type: ignore[arg-type]
        except NatsError as error:
            raise Unanswered(_text(error)) from error

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Send messages on their way, in this order. Raises Unanswered where there is no connection."""
        if not self._client.is_connected:
            raise Unanswered("no connection to NATS")
        try:
            await self._client.send(messages)
        except NatsError as error:
            raise Unanswered(_text(error)) from error

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, within: float = WAIT
    ) -> bytes:
        """Send a message and wait for its answer. Raises Unanswered."""
        if not self._client.is_connected:
            raise Unanswered("no connection to NATS")
        try:
            answer = await self._client.request(subject, body, timeout=within, headers=headers)  # type: ignore[arg-type]
        except NatsError as error:
            raise Unanswered(_text(error)) from error
        return bytes(answer.data)

    async def ask(
        self, subject: str, body: object = None, *, headers: Mapping[str, str] | None = None, within: float = WAIT
    ) -> Any:
        """Ask JetStream; its answer. Raises Unanswered, Refusal."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return answer_of(await self.request(subject, data, headers=headers, within=within))

    async def _failed(self, error: Exception) -> None:
        if self._client.is_connected and not isinstance(error, (NatsError, OSError, TimeoutError)):
            tell_fault(error)  # of whoever was given a message
            return
        text = _text(error) + advice(self._settings, error)
        if self._closing or text == self.failure:
            return
        self.failure = text
        urls = ", ".join(self._settings.urls)
        level = logging.DEBUG if self._client.is_connected else logging.WARNING
        logger.log(level, "history: NATS (%s): %s; trying on", urls, text)

    async def _lost(self) -> None:
        if not self._closing:
            logger.warning("history: the connection to NATS is lost")
            self._changed(False)

    async def _back(self) -> None:
        self.failure = ""
        url = self._client.connected_url
        logger.info("history: connected to NATS again: %s", url.netloc if url is not None else "")
        self._changed(True)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be read: {error.strerror}"
    text = re.sub(r"^'(.*)'$", r"\1", str(error).removeprefix("nats: "))
    return text or type(error).__name__


__all__ = ["API", "NOT_FOUND", "Msg", "NatsClient", "Outgoing", "Refusal", "Unanswered", "answer_of"]
