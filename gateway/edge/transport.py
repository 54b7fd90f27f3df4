"""A client's socket, plain or TLS, on the loop's readiness.

Not asyncio's transport: measured per idle WSS client, asyncio's TLS transport takes 280 KiB, a non-blocking SSLSocket
15 KiB. The socket is read and written by the loop's add_reader and add_writer.
"""

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol

from gateway.edge.tcpinfo import Traffic, traffic_of
from gateway.edge.tls import names_in
from gateway.edge.volley import Volley
from gateway.hub.volley import NOWHERE

READ = 64 * 1024
READS = 4  # reads a wake-up: then the others have their turn
OFFER = 256 * 1024  # bytes offered to a plain socket at a time
OFFER_TLS = 64 * 1024  # to OpenSSL, which wants the very same bytes again until they are taken

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
UNREACHABLE = "the network took nothing in time"
_LINGER_NOT = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """Whose socket it is."""

    def received(self, data: bytes) -> None:
        """The client has sent `data`."""

    def writable(self) -> None:
        """The socket takes more, as was asked for by `want_write`."""

    def ended(self, failure: str | None) -> None:
        """The client has ended the connection, or the network has, then with a `failure`."""

    def handshake_failed(self, failure: str) -> None:
        """There will be no TLS with this client."""

    def placed(self) -> None:
        """It has a slot in the volley now."""


def failure_of(error: OSError) -> str:
    """What ended a connection, in words; UNREACHABLE where the kernel waited in vain (tcp(7), TCP_USER_TIMEOUT)."""
    return UNREACHABLE if error.errno == errno.ETIMEDOUT else str(error)


class Transport:
    """`secure` is whether it is TLS, `shaking` whether its handshake is under way, `slot` its place in the volley.

    Takes the socket and begins to read. Raises OSError where it is dead already.
    """

    __slots__ = ("_loop", "_owner", "_sock", "_volley", "_writing", "closed", "secure", "shaking", "slot")

    def __init__(
        self,
        sock: socket.socket,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext | None,
        volley: Volley,
    ) -> None:
        sock.setblocking(False)
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._sock = sock
        self._owner = owner
        self._loop = loop
        self._volley = volley
        self._writing = False
        self.secure = self.shaking = context is not None
        self.closed = False
        loop.add_reader(sock.fileno(), self._readable)
        self.slot = NOWHERE
        if not self.secure:
            volley.enter(self)

    @property
    def send(self) -> Callable[[bytes], int]:
        """The socket's own; raises OSError, of the kinds of WOULD_BLOCK where it takes nothing now."""
        # OpenSSL's own where there is one: the two calls of Python that SSLSocket wraps it in are 3 % of a delivery.
        tls = getattr(self._sock, "_sslobj", None)
        write: Callable[[bytes], int] = self._sock.send if tls is None else tls.write
        return write

    @property
    def offer(self) -> int:
        """Bytes to hand to `send` at most."""
        return OFFER_TLS if self.secure else OFFER

    @property
    def certificate(self) -> tuple[str, ...]:
        """The names of the client's certificate, none where it showed none."""
        return names_in(self._sock.getpeercert()) if isinstance(self._sock, ssl.SSLSocket) else ()

    @property
    def traffic(self) -> Traffic | None:
        """What the kernel counted; None for a Unix socket."""
        return traffic_of(self._sock)

    def fileno(self) -> int:
        return self._sock.fileno()

    def placed(self) -> None:
        self._owner.placed()

    def want_write(self) -> None:
        """Tell the owner when the socket takes more."""
        if not self._writing and not self.closed:
            self._writing = True
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def stop_writing(self) -> None:
        """Nothing waits any more."""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock.fileno())

    def half_close(self) -> bool:
        """Say that nothing more will come; whether the client can still be heard.

        Where TLS cannot say it now, the owner is told when the socket takes more, to say it again.
        """
        self.stop_writing()
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                try:
                    self._sock.unwrap()
                except ssl.SSLWantWriteError:
                    # Without close_notify (RFC 8446, 6.1) a stream that ends looks like one that was cut off.
                    self.want_write()
                    return True
                except WOULD_BLOCK:
                    pass  # close_notify is out; the client's own need not be waited for
            self._sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            return False
        return True

    def throw_away(self) -> None:
        """Let `close` drop what the kernel still holds for the client."""
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        except OSError:
            pass  # the socket is dead already: nothing to throw away

    def close(self) -> None:
        """Twice is once."""
        if self.closed:
            return
        self.closed = True
        if not self.secure:
            self._volley.leave(self)
        fd = self._sock.fileno()
        if fd >= 0:
            self.stop_writing()
            self._loop.remove_reader(fd)
        self._sock.close()

    def _readable(self) -> None:
        if self.shaking:
            self._shake()
            return
        for _ in range(READS):
            try:
                data = self._sock.recv(READ)
            except WOULD_BLOCK:
                return
            except OSError as error:
                self._owner.ended(failure_of(error))
                return
            if not data:
                self._owner.ended(None)
                return
            self._owner.received(data)
            if self.closed or (not self.secure and len(data) < READ):
                return
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            # What OpenSSL has decrypted already wakes nobody up.
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        if not self.closed:
            self._readable()

    def _writable(self) -> None:
        if self.shaking:
            self._shake()
        else:
            self._owner.writable()

    def _shake(self) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self.stop_writing()
            return
        except ssl.SSLWantWriteError:
            self.want_write()
            return
        except OSError as error:
            self._owner.handshake_failed(f"TLS handshake: {error}")
            return
        self.stop_writing()
        self.shaking = False
        self._readable()
