"""The connection to a NATS cluster: signed in, kept up for ever, requests with an answer or a reason.

nats-py is imported here and nowhere else, and only by a configuration that asks for it (extra `cluster`).
"""

import base64
import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gateway.config import JetStream
from gateway.config.natskeys import credentials_of, seed_of
from gateway.errors import GatewayError

try:
    import nats
    import nkeys
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.errors import Error as NatsError
except ImportError as error:  # pragma: no cover - an installation without the extra
    raise GatewayError('log = "jetstream" needs nats-py: pip install "sensor-gateway[cluster]"') from error

logger = logging.getLogger("gateway.history")

T = TypeVar("T")

API = "$JS.API."
WAIT = 2.0  # seconds for an answer
PING = 2.0  # seconds between pings; two that are not answered end a connection
RECONNECT = 0.25
PENDING = 8 * 1024 * 1024
NOT_FOUND = 404


class Unanswered(GatewayError):
    """NATS did not answer, or nobody in it could: no connection, no leader at this moment. Worth another try."""


class Refusal(GatewayError):
    """JetStream answered no. `code` is its HTTP-like code, `number` its own (`err_code`)."""

    def __init__(self, text: str, code: int, number: int) -> None:
        super().__init__(text)
        self.code = code
        self.number = number


class Outgoing(NamedTuple):
    """A message to send; its texts hold no line ends."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    payload: bytes

    def command(self) -> bytes:
        """As NATS' protocol has it: HPUB."""
        head = "NATS/1.0\r\n" + "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()]) + "\r\n"
        raw = head.encode()
        reply = f"{self.reply} " if self.reply else ""
        line = f"HPUB {self.subject} {reply}{len(raw)} {len(raw) + len(self.payload)}\r\n"
        return b"".join((line.encode(), raw, self.payload, b"\r\n"))


_REFUSED = re.compile("authorization violation|authentication (?:expired|revoked)", re.IGNORECASE)
# What a server says without ending the connection, or nats-py knows to go on after; in its own lower case.
_BORNE = ("permissions violation", "stale connection")


class _Client(Client):
    """nats-py's client; many messages are sent at once (3 µs each instead of 16, measured), the headers of one are
    read in 2 µs instead of 10, and it never gives up.

    By private names of nats-py: without those of the first two it is only slower, tests hold the others.
    """

    def sign_with(self, file: Path) -> Callable[[str], bytes]:
        """Answer a server's challenge with the NKey in `file`."""

        def sign(nonce: str) -> bytes:
            keys = nkeys.from_seed(bytearray(_read(file, seed_of).encode()))
            # Named in the same command, and another one where the file was exchanged.
            self._public_nkey = keys.public_key.decode()
            return _signed(keys, nonce)

        return sign

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except (OSError, NatsError, TimeoutError):
            self._hang_up()
            raise
        except Exception as error:
            self._hang_up()
            # The task that connects anew would end at what it does not expect.
            raise NatsError(f"cannot sign in: {str(error) or type(error).__name__}") from error

    def _hang_up(self) -> None:
        # nats-py leaves the socket of an attempt that failed to the collector.
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]

    async def _process_err(self, err_msg: str) -> None:
        if any(known in err_msg for known in _BORNE):
            await super()._process_err(err_msg)
            return
        # nats-py ends for ever at what a server says while a connection stands: that a user's time is over, say.
        failure = NatsError(f"nats: {err_msg}")
        await self._process_op_err(failure)
        await self._error_cb(failure)

    async def send(self, messages: Sequence[Outgoing]) -> None:
        if hasattr(self, "_send_command") and hasattr(self, "_flush_pending"):
            await self._send_command(b"".join([message.command() for message in messages]))
            await self._flush_pending()
            return
        for message in messages:
            await self.publish(message.subject, message.payload, message.reply, dict(message.headers))

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        # Called by its name inside of nats-py; another version that does it otherwise is only slower.
        try:
            return dict(line.split(": ", 1) for line in raw.decode().strip("\r\n").split("\r\n"))
        except ValueError:
            return Client._parse_header_lines(raw)


Received = Callable[[Msg], Awaitable[None]]


class NatsClient:
    """One connection for everything. `changed(connected)` is told when it is lost and when it is back.

    `failure` is what kept it from connecting last.
    """

    def __init__(self, settings: JetStream, *, name: str, changed: Callable[[bool], None]) -> None:
        self._settings = settings
        self._name = name
        self._changed = changed
        self._client = _Client()
        self.failure = ""
        self._closing = False

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    @property
    def max_payload(self) -> int:
        """Bytes of headers and payload together that the servers take."""
        return int(self._client.max_payload)

    async def connect(self) -> None:
        """Connect, however long it takes. Raises GatewayError where a secret cannot be read."""
        settings = self._settings
        # nats-py says int where it takes float.
        options: dict[str, Any] = {"reconnect_time_wait": RECONNECT, "connect_timeout": WAIT, "ping_interval": PING}
        if settings.user:
            options["user"] = settings.user
            if settings.password_file is not None:
                options["password"] = _reader(settings.password_file)
        elif settings.token_file is not None:
            options["token"] = _reader(settings.token_file)
        elif settings.credentials is not None:
            # Not nats-py's own: a file without a JWT would have it read for ever.
            options["user_jwt_cb"], options["signature_cb"] = _signing(settings.credentials)
        elif settings.nkey_file is not None:
            options["signature_cb"] = self._client.sign_with(settings.nkey_file)
        if any(url.startswith("tls:") for url in settings.urls):
            options["tls"] = self._tls()
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

    def _tls(self) -> ssl.SSLContext:
        tls = self._settings.tls
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
        if tls.insecure:
            logger.warning("history: jetstream.tls.insecure: any certificate of the NATS servers is believed")
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def _failed(self, error: Exception) -> None:
        text = _text(error) + self._advice(error)
        if self._closing or text == self.failure:
            return
        self.failure = text
        urls = ", ".join(self._settings.urls)
        level = logging.DEBUG if self._client.is_connected else logging.WARNING
        logger.log(level, "history: NATS (%s): %s; trying on", urls, text)

    def _advice(self, error: Exception) -> str:
        """Where to look after a server that does not let us in."""
        if not isinstance(error, NatsError) or not _REFUSED.search(str(error)):
            return ""
        settings = self._settings
        ways = ("user", "token_file", "credentials", "nkey_file")
        way = next((way for way in ways if getattr(settings, way)), "")
        return f" (it refuses jetstream.{way})" if way else " (it wants to know who we are: jetstream.credentials, say)"

    async def _lost(self) -> None:
        if not self._closing:
            logger.warning("history: the connection to NATS is lost")
            self._changed(False)

    async def _back(self) -> None:
        self.failure = ""
        url = self._client.connected_url
        logger.info("history: connected to NATS again: %s", url.netloc if url is not None else "")
        self._changed(True)


def answer_of(data: bytes) -> Any:
    """What JetStream answered. Raises Unanswered, Refusal."""
    try:
        answer = json.loads(data)
    except ValueError:
        raise Unanswered("an answer that cannot be read") from None
    failure = answer.get("error")
    if failure:
        text, code, number = failure.get("description", "no reason"), failure.get("code", 0), failure.get("err_code", 0)
        if code in (408, 503):  # no quorum, no leader: another may be elected in a moment
            raise Unanswered(f"JetStream: {text}")
        raise Refusal(text, code, number)
    return answer


# All are read anew at every connect, so that a rotated secret needs no restart.


def _reader(file: Path) -> Callable[[], str]:
    return lambda: _read(file, str.strip)


def _signing(file: Path) -> tuple[Callable[[], bytearray], Callable[[str], bytes]]:
    def jwt() -> bytearray:
        return bytearray(_read(file, credentials_of).jwt.encode())

    def sign(nonce: str) -> bytes:
        return _signed(nkeys.from_seed(bytearray(_read(file, credentials_of).seed.encode())), nonce)

    return jwt, sign


def _read(file: Path, read: Callable[[str], T]) -> T:
    try:
        return read(file.read_text("utf-8"))
    except UnicodeDecodeError:
        raise NatsError(f"{file} is not UTF-8") from None
    except ValueError as error:
        raise NatsError(f"{file} {error}") from None


def _signed(keys: nkeys.KeyPair, nonce: str) -> bytes:
    signature = base64.b64encode(keys.sign(nonce.encode()))
    keys.wipe()
    return signature


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be read: {error.strerror}"
    text = re.sub(r"^'(.*)'$", r"\1", str(error).removeprefix("nats: "))
    return text or type(error).__name__


__all__ = ["API", "NOT_FOUND", "Msg", "NatsClient", "Outgoing", "Refusal", "Unanswered", "answer_of", "nats"]
