"""The blocking part of a connect: names, TCP, TLS and the WebSocket handshake, in a daemon thread.

One thread per try, so that a link that stands has none. A try that hangs in the resolver (which has no time limit of
its own) is left behind and ends by itself; it keeps neither the loop nor the end of the process waiting.
"""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from gateway.config import UpstreamTls
from gateway.errors import UpstreamError
from gateway.upstream.address import Address
from gateway.upstream.bufferedsocket import Transport

LEFT_BEHIND = 4
"""At most this many hanging tries of one link at a time."""

_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
_WRONG_HOST = (62, 63, 64)


class Connector:
    """Opens transports for one link."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.time) -> None:
        self.clock_suspect = False
        """Whether the newest certificate seen is not valid yet by this box's clock."""
        self._name = name
        self._loop = loop
        self._clock = clock
        self._hanging: set[threading.Thread] = set()

    async def open(self, address: Address, tls: UpstreamTls, *, limit: float, silence: float) -> Transport:
        """A connected, non-blocking transport, within `limit` seconds.

        `silence` is how many seconds sent bytes may lack an ACK. Raises UpstreamError with a reason for people,
        CertificateNotYetValid where the clock of this box may be wrong.
        """
        self._hanging = {thread for thread in self._hanging if thread.is_alive()}
        if len(self._hanging) >= LEFT_BEHIND:
            raise UpstreamError(f"{len(self._hanging)} tries still hang in the name service")
        future: asyncio.Future[Transport] = self._loop.create_future()

        def run() -> None:
            try:
                transport = open_transport(address, tls, limit=limit, silence=silence, now=self._clock)
            except Exception as error:
                self._hand_over(_fail, future, error)
            else:
                if not self._hand_over(_deliver, future, transport):
                    transport.close()

        thread = threading.Thread(target=run, name=f"connect-{self._name}", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(limit):
                transport = await future
        except CertificateNotYetValid:
            self.clock_suspect = True
            raise
        except TimeoutError:
            self._hanging.add(thread)
            raise UpstreamError(f"no connection within {limit:g} s") from None
        if address.tls and not tls.insecure:
            self.clock_suspect = False
        return transport

    def _hand_over(self, function: Callable[..., None], *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return False  # the loop has been closed meanwhile: nobody waits any more
        return True


def _deliver(future: "asyncio.Future[Transport]", transport: Transport) -> None:
    if future.done():
        transport.close()
    else:
        future.set_result(transport)


def _fail(future: "asyncio.Future[Transport]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class CertificateNotYetValid(UpstreamError):
    """The broker's certificate begins in the future: more likely this box's clock is wrong."""


def open_transport(
    address: Address, tls: UpstreamTls, *, limit: float, silence: float, now: Callable[[], float] = time.time
) -> Transport:
    """Connect, blocking, within about `limit` seconds (the resolver's own time not counted). Raises UpstreamError."""
    deadline = time.monotonic() + limit
    try:
        plain = _connect(address, deadline, silence)
    except OSError as error:
        raise UpstreamError(_explain(error)) from error
    connection: socket.socket = plain
    try:
        if address.tls:
            connection = _secure(plain, address, tls, deadline)
        transport: Transport = connection
        if address.websocket:
            from gateway.upstream.websocket import WebSocketTransport  # most links need no WebSocket

            transport = WebSocketTransport(connection, address, deadline)
        connection.setblocking(False)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise _certificate_error(error, address, now()) from error
    except ssl.SSLError as error:
        connection.close()
        raise UpstreamError(f"TLS handshake failed: {error.reason or error}") from error
    except OSError as error:
        connection.close()
        raise UpstreamError(_explain(error)) from error
    except BaseException:
        connection.close()
        raise
    return transport


def _connect(address: Address, deadline: float, silence: float) -> socket.socket:
    if address.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address.path)
        except BaseException:
            connection.close()
            raise
        return connection
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for number, (family, kind, protocol, _, place) in enumerate(found):
        connection = socket.socket(family, kind, protocol)
        try:
            # Every address gets its share of the time, so that a dead first one does not use up all of it.
            connection.settimeout(_left(deadline) / (len(found) - number))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1000, int(silence * 1000)))
            connection.connect(place)
            connection.settimeout(_left(deadline))
            return connection
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure or OSError(f"{address.host} has no address")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _secure(plain: socket.socket, address: Address, tls: UpstreamTls, deadline: float) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca is not None:
        context.load_verify_locations(tls.ca)
    else:
        context.load_default_certs()
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    secured = context.wrap_socket(plain, server_hostname=address.host, do_handshake_on_connect=False)
    try:
        secured.settimeout(_left(deadline))
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def _certificate_error(error: ssl.SSLCertVerificationError, address: Address, now: float) -> UpstreamError:
    code = error.verify_code
    if code == _NOT_YET_VALID:
        clock = time.strftime("%Y-%m-%d", time.gmtime(now))
        return CertificateNotYetValid(
            f"broker certificate is not valid yet: this box's clock reads {clock} (no NTP yet?); retrying"
        )
    if code == _EXPIRED:
        return UpstreamError("broker certificate has expired: renew it on the broker")
    if code in _WRONG_HOST:
        return UpstreamError(f"broker certificate is not for {address.host}: {error.verify_message}")
    if code in _UNKNOWN_ISSUER:
        return UpstreamError(
            f"broker certificate is signed by an authority unknown here ({error.verify_message}): set tls.ca"
        )
    return UpstreamError(f"broker certificate is refused: {error.verify_message}")


def _explain(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"name not resolved: {error.strerror}"
    if isinstance(error, TimeoutError):
        return "no connection: timed out"
    return plain(error)


def plain(error: OSError) -> str:
    """The error in words that go on in the middle of a sentence."""
    if error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__
