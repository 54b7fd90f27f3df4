"""Where to listen, and the listening sockets for it."""

import errno
import os
import socket
import stat

import msgspec

from gateway.edge.doors import Door
from gateway.edge.tls import Tls

BACKLOG = 4096
SEND_BUFFER = 128 * 1024  # the kernel doubles it; a stuck client then holds 0.3 MiB instead of 3 to 4
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


class Endpoint(msgspec.Struct, frozen=True):
    """Where to listen, and by which rules. `address` is an IP address, "" for every one, or "unix:PATH"."""

    address: str
    port: int
    tls: Tls | None = None
    reuse_port: bool = False
    door: Door = Door()

    def __str__(self) -> str:
        if self.path is not None:
            return self.address
        host = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def path(self) -> str | None:
        """Where the Unix socket is, None for TCP."""
        return self.address.removeprefix("unix:") if self.address.startswith("unix:") else None


def listening(endpoint: Endpoint, unanswered: float) -> socket.socket:
    """A socket that listens there, see `equip`. Raises OSError."""
    if endpoint.path is not None:
        _tidy(endpoint.path)
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in endpoint.address or not endpoint.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if endpoint.path is None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if endpoint.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if endpoint.address else 0)
        sock.bind(endpoint.path if endpoint.path is not None else (endpoint.address, endpoint.port))
        equip(sock, unanswered)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def equip(sock: socket.socket, unanswered: float) -> None:
    """Accepted sockets inherit what is set here; `unanswered` is TCP_USER_TIMEOUT in seconds."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        give_up_after(sock, unanswered)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setblocking(False)


def give_up_after(sock: socket.socket, unanswered: float) -> None:
    """Set TCP_USER_TIMEOUT (tcp(7)) to `unanswered` seconds, for those who are accepted from now on."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(unanswered * 1000))


def stands_for(name: str, sock: socket.socket, endpoint: Endpoint) -> bool:
    """Whether a socket that was passed on by this name is the one for `endpoint`."""
    if sock.family == socket.AF_UNIX:
        return endpoint.address == f"unix:{sock.getsockname()}"
    if name.isdigit():
        return endpoint.port == int(name) and endpoint.path is None
    address, port = sock.getsockname()[:2]
    everywhere = ("::", "0.0.0.0")
    return endpoint.port == port and (endpoint.address == address or (not endpoint.address and address in everywhere))


def place_of(sock: socket.socket) -> str:
    """Where a socket listens, as text."""
    name = sock.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def as_bound(sock: socket.socket, endpoint: Endpoint) -> Endpoint:
    """The endpoint with the port that was given where it asked for any."""
    if sock.family == socket.AF_UNIX:
        return endpoint
    return msgspec.structs.replace(endpoint, port=sock.getsockname()[1])


def _tidy(path: str) -> None:
    """Take away what a run before has left; what is no socket, or somebody still listens on, stays for `bind`."""
    try:
        if not stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            if sock.connect_ex(path) == errno.ECONNREFUSED:
                os.unlink(path)
    except FileNotFoundError:
        pass  # nothing is left
