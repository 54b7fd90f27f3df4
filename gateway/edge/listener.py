"""One listening socket: takes what comes in and hands it to the doorkeeper; waits while there are no descriptors."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from gateway.edge.admission import UNIX
from gateway.edge.descriptors import OUT_OF_RESOURCES, Shortage
from gateway.edge.doorkeeper import Doorkeeper
from gateway.edge.endpoints import BACKLOG, Endpoint, place_of

ACCEPTS = 32  # connections taken in a wake-up
PAUSE = 1.0  # seconds until the next try where there are no descriptors
# What befell one connection on its way here, not the socket (accept(2)): the next one is as good as ever.
_OF_THE_OTHER = (
    errno.ECONNABORTED,
    errno.ENETDOWN,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
)


class Listener:
    """`endpoint` may be replaced under way; `passed_on`: somebody else has opened the socket, and keeps it.

    `short` is called for each time when there was no descriptor for a new connection.
    """

    def __init__(
        self,
        sock: socket.socket,
        endpoint: Endpoint,
        *,
        passed_on: bool,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        doorkeeper: Doorkeeper,
        shortage: Shortage,
        short: Callable[[], None],
    ) -> None:
        self.sock = sock
        self.endpoint = endpoint
        self.passed_on = passed_on
        self._loop = loop
        self._clock = clock
        self._doorkeeper = doorkeeper
        self._shortage = shortage
        self._short = short
        self._file = _identity(endpoint.path) if endpoint.path is not None and not passed_on else None

    def __str__(self) -> str:
        return f"{self.endpoint} (inherited: {place_of(self.sock)})" if self.passed_on else str(self.endpoint)

    @property
    def shared(self) -> bool:
        """Whether other gateways may listen on the same port."""
        return self.endpoint.reuse_port and self.endpoint.path is None and not self.passed_on

    def start(self) -> None:
        """Begin to accept."""
        if self.sock.fileno() >= 0:
            self._loop.add_reader(self.sock.fileno(), self.accept)

    def accept(self) -> bool:
        """Take what came in; whether there may be more."""
        for _ in range(ACCEPTS):
            try:
                sock, address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno in _OF_THE_OTHER:
                    continue
                if error.errno not in OUT_OF_RESOURCES:
                    raise
                self._pause(error)
                return False
            self._shortage.ends(self._clock())
            peer = str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else UNIX
            self._doorkeeper.receive(sock, peer, self)
        return True

    def leave(self) -> None:
        """Close, but take in first what the kernel has given to this socket: one that closes resets its queue."""
        self._loop.remove_reader(self.sock.fileno())
        for _ in range(BACKLOG // ACCEPTS):
            if not self.accept():
                break
        self.sock.close()

    def close(self) -> None:
        """Accept nothing more; a Unix socket that is ours still goes, too."""
        if self.sock.fileno() < 0:
            return
        self._loop.remove_reader(self.sock.fileno())
        self.sock.close()
        path = self.endpoint.path
        if path is not None and self._file is not None and _identity(path) == self._file:
            os.unlink(path)

    def _pause(self, error: OSError) -> None:
        """Out of file descriptors: clients live on, accepting waits a moment."""
        self._short()
        self._shortage.begins(error, self._clock())
        self._loop.remove_reader(self.sock.fileno())
        self._loop.call_later(PAUSE, self.start)


def _identity(path: str) -> tuple[int, int] | None:
    """Which file stands at `path`."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None  # somebody tidied up before us
    return found.st_dev, found.st_ino
