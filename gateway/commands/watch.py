"""`watch`: a viewer in the terminal. Speaks the native protocol, so it works against any gateway."""

import asyncio
import io
import json
import random
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gateway.commands.causes import cause
from gateway.commands.watch_text import Printer
from gateway.errors import CLOSE_CODES, GatewayError, Reconnect

SUBPROTOCOL = Subprotocol("sensor-gateway.v1.json")
OPEN_LIMIT = 10.0
CLOSE_LIMIT = 1.0  # who typed Ctrl-C waits for it
MAX_MESSAGE = 16 << 20
MAX_DIGITS = 4300
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: refusals by status that another try can mend: too many, not yet, a proxy without its gateway
PASSING = {429, 500, 502, 503, 504}
_ADVICE = {entry.code: entry for entry in CLOSE_CODES}


def _whole(digits: str) -> int | float:
    """A whole number; one of more digits than Python prints (4,300) as the nearest double, infinity included."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


class Lost(Exception):
    """The connection is gone; `wait` is the gateway's advice in seconds, None where it gave none."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


class Unread(Exception):
    """Nobody reads our output any more."""


class Watch:
    """Prints what matches `filters` until it is cancelled, over any number of connections.

    Remembers the newest offset it has seen and resumes after it, so that a lost connection costs nothing that the
    gateway still has.

    Args:
        url: ws:// or wss:// address of a gateway's stream.
        printer: where messages and notes go.
        token_file: a file with the token, read at every connect; None sends none.
        ca: PEM file to trust in place of the system's authorities.
        insecure: believe any certificate.

    Raises:
        GatewayError: what another try cannot mend: the address, the token, the role, a certificate not to be trusted.
    """

    def __init__(
        self,
        filters: list[str],
        url: str,
        printer: Printer,
        *,
        token_file: Path | None = None,
        ca: Path | None = None,
        insecure: bool = False,
        pick: Callable[[float, float], float] = random.uniform,
    ) -> None:
        scheme = _scheme(url)
        if scheme not in ("ws", "wss"):
            raise GatewayError(f"{url}: not a stream's address, expected ws://HOST:PORT/stream or wss://…")
        self._filters = filters
        self._url = url
        self._printer = printer
        self._token_file = token_file
        self._tls = _trust(ca, insecure) if scheme == "wss" else None
        self._pick = pick
        self._wait = FIRST_WAIT
        self._epoch = ""  # of this connection
        self._mark: tuple[str, int] | None = None  # epoch and offset up to which everything has been seen
        self._following = False  # the snapshot is over: from here on offsets move the mark
        self._retry_after: float | None = None

    async def run(self) -> NoReturn:
        """Watch for ever."""
        said = None
        while True:
            try:
                await self._connection()
            except Lost as lost:
                wait = self._next_wait() if lost.wait is None else lost.wait
                if lost.why != said:
                    self._printer.note(f"{lost.why}; trying again")
                    said = lost.why
            if self._following:
                said = None  # it worked in between: the same trouble is news again
            await asyncio.sleep(wait)

    def _next_wait(self) -> float:
        """Decorrelated jitter: many viewers of one gateway must not come back in step."""
        self._wait = min(LONGEST_WAIT, self._pick(FIRST_WAIT, self._wait * 3))
        return self._wait

    async def _connection(self) -> NoReturn:
        self._greeted, self._following, self._retry_after = False, False, None
        try:
            async with connect(
                self._url,
                subprotocols=[SUBPROTOCOL],
                additional_headers=self._credentials(),
                ssl=self._tls,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=OPEN_LIMIT,
                close_timeout=CLOSE_LIMIT,
                proxy=None,
                user_agent_header="sensor-gateway watch",
            ) as connection:
                await self._conversation(connection)
        except ConnectionClosed as closed:
            raise self._closed(closed) from None
        except InvalidStatus as refused:
            raise self._refused(refused) from None
        except ssl.SSLCertVerificationError as error:
            raise GatewayError(
                f"{self._url}: certificate not trusted ({error.verify_message}): give --ca FILE or --insecure"
            ) from None
        except TimeoutError:
            raise Lost(f"{self._url} does not answer") from None
        except (OSError, InvalidHandshake) as error:
            raise Lost(f"cannot reach {self._url}: {cause(error)}{self._hint(error)}") from None

    def _hint(self, error: Exception) -> str:
        """What may be wrong with the address, where the other side does not speak what it says."""
        if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
            return f"; is it ws{self._url.removeprefix('wss')}?"
        if isinstance(error, InvalidMessage) and self._url.startswith("ws:"):
            return f"; is it wss{self._url.removeprefix('ws')}?"
        return ""

    def _credentials(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = self._token_file.read_bytes().strip()
        except OSError as error:
            raise GatewayError(f"{self._token_file}: {error.strerror}") from None
        if not re.fullmatch(rb"[!-~]+", token):
            raise GatewayError(f"{self._token_file}: it does not hold one token and nothing else")
        return {"Authorization": f"Bearer {token.decode('ascii')}"}

    async def _conversation(self, connection: ClientConnection) -> NoReturn:
        while True:
            text = await connection.recv()
            try:
                received = json.loads(text, parse_int=_whole)
                kind = received["type"]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise GatewayError(f"{self._url} does not speak {SUBPROTOCOL}: is it a gateway's stream?") from None
            if kind == "welcome" and self._greeted:
                kind = "clock"  # said again, since the gateway's clock has lost or won its trust
            elif kind == "welcome":
                self._greeted = True
                await connection.send(self._subscribe(received))
            elif kind == "auth-required":
                raise GatewayError(f"{self._url} wants credentials: give --token-file FILE")
            elif kind == "error":
                raise GatewayError(f"{self._url}: {received.get('message')} ({received.get('code')})")
            self._note_offset(kind, received)
            try:
                self._printer.received(kind, received, text if isinstance(text, str) else text.decode())
            except OSError as error:  # our output's, not the connection's
                connection.transport.abort()  # a close would wait for what we shall never print
                if isinstance(error, BrokenPipeError):
                    raise Unread from None
                raise GatewayError(f"what comes cannot be written: {error.strerror}") from None

    def _subscribe(self, welcome: dict[str, Any]) -> str:
        replay: str | dict[str, Any] = "last"
        if self._mark is not None:
            # Where the epoch is another one by now, the gateway answers with a gap and a snapshot.
            replay = {"epoch": self._mark[0], "offset": self._mark[1]}
        self._epoch = welcome["epoch"]
        return json.dumps({"type": "subscribe", "id": 1, "topics": self._filters, "replay": replay})

    def _note_offset(self, kind: str, received: dict[str, Any]) -> None:
        if kind == "replayed":
            self._following, self._wait = True, FIRST_WAIT
            self._mark = (self._epoch, received["offset"])
        elif kind in ("message", "heartbeat") and self._following:
            self._mark = (self._epoch, received["offset"])
        elif kind == "gap" and self._following and self._mark is not None:
            self._mark = (self._epoch, max(self._mark[1], received["to"]))
        elif kind == "closing":
            self._retry_after = received.get("retry_after")

    def _closed(self, closed: ConnectionClosed) -> Exception:
        if closed.rcvd is None:
            return Lost(f"{self._url}: the connection broke off")
        code, reason = closed.rcvd.code, closed.rcvd.reason
        advice = _ADVICE.get(code)
        why = f"{self._url} closed: {code} {reason or (advice.meaning if advice else '')}".rstrip()
        match advice.reconnect if advice else Reconnect.AFTER_RETRY_AFTER:
            case Reconnect.NEVER:
                return GatewayError(why)
            case Reconnect.AFTER_NEW_CREDENTIALS:
                return GatewayError(f"{why}: give --token-file FILE with a valid token")
            case Reconnect.AT_ONCE:
                return Lost(why, self._pick(0.0, FIRST_WAIT))
            case Reconnect.AFTER_JITTER:
                return Lost(why, 30.0 + self._pick(0.0, 10.0))
            case Reconnect.AFTER_10_S:
                return Lost(why, 10.0 + self._pick(0.0, 2.0))
            case Reconnect.AFTER_RETRY_AFTER:
                return Lost(why, self._retry_after)

    def _refused(self, refused: InvalidStatus) -> Exception:
        status = refused.response.status_code
        reason = refused.response.headers.get("Sensor-Gateway-Reason") or refused.response.reason_phrase
        why = f"{self._url} refuses: {status} {reason}"
        if status not in PASSING:
            return GatewayError(why)
        try:
            return Lost(why, float(refused.response.headers["Retry-After"]) + self._pick(0.0, 1.0))
        except (KeyError, ValueError):  # none, or a date
            return Lost(why)


def _scheme(url: str) -> str:
    """The scheme of an address that can be gone to, "" for anything else."""
    try:
        parse_uri(url)
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts.scheme if parts.hostname and parts.port != 0 else ""
    except (ValueError, InvalidURI):  # a port beyond 65535, half an IPv6 address, an empty label, a fragment
        return ""


def _trust(ca: Path | None, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise GatewayError(f"{ca}: no certificates to be read, expected PEM") from None
    except OSError as error:
        raise GatewayError(f"{ca}: no certificates to be read ({error.strerror})") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def run_watch(watch: Watch) -> int:
    """Watch until Ctrl-C or until nobody reads our output any more; the exit status."""
    # Whoever reads us through a pipe wants each line when it comes.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    try:
        asyncio.run(watch.run())
    except KeyboardInterrupt:
        return 0
    except Unread:
        _give_up_output()
        return 0
    except GatewayError:
        _give_up_output()
        raise


def _give_up_output() -> None:
    """`watch … | head`, or a disk that is full: the interpreter would fail once more at its end, when it flushes."""
    try:
        sys.stdout.flush()
    except (OSError, AttributeError):  # or there is none
        sys.stdout = None
