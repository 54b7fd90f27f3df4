"""The listening sockets: opened all or none, and what is taken from them: how fast, how many, with a proxy's header."""

import asyncio
import errno
import itertools
import logging
import os
import resource
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from gateway.edge.doors import Door
from gateway.edge.forwarded import is_trusted
from gateway.edge.preface import Preface
from gateway.edge.proxy_protocol import Source
from gateway.edge.rate import Rate
from gateway.edge.tls import Tls
from gateway.errors import GatewayError

log = logging.getLogger("gateway.edge")

BACKLOG = 4096
SEND_BUFFER = 128 * 1024  # the kernel doubles it; a stuck client then holds 0.3 MiB instead of 3 to 4
ACCEPTS = 32  # connections taken in a wake-up
RESERVED_FDS = 64  # for broker links, files and name look-ups
SAY_AGAIN = 60.0
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


class Endpoint(msgspec.Struct, frozen=True):
    """Where to listen, and by which rules. `address` is an IP address, "" for every one, or "unix:PATH"."""

    address: str
    port: int
    tls: Tls | None = None
    reuse_port: bool = False
    door: Door = Door()

    def __str__(self) -> str:
        if self.address.startswith("unix:"):
            return self.address
        host = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class Owner(Protocol):
    """Who takes what comes in."""

    def refusal(self, peer: str, door: Door, waiting: int) -> str | None:
        """Why a connection from `peer` is closed at once, by the name of its counter; `waiting` are not counted yet."""

    def admit(self, sock: socket.socket, peer: str, endpoint: Endpoint, source: Source | None) -> None:
        """Take a new connection."""

    def count(self, reason: str) -> None:
        """One more connection was refused for `reason`."""


class Listeners:
    """`unanswered` is TCP_USER_TIMEOUT in seconds, `handshake` the time for a proxy's header, `accepts` the rate."""

    def __init__(
        self,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        unanswered: float,
        handshake: float,
        accepts: float,
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._clock = clock
        self._unanswered = unanswered
        self._handshake = handshake
        self._rate = Rate(accepts)
        self._keys = itertools.count(1)
        self._sockets: list[tuple[socket.socket, Endpoint]] = []
        self._inherited: set[int] = set()
        self._prefaces: dict[int, Preface] = {}
        self._out_since: float | None = None
        self._said_at: float | None = None
        self._owed = False

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where is listened now, with the ports that were given."""
        return [endpoint for _, endpoint in self._sockets]

    def open(self, endpoints: list[Endpoint], inherited: Sequence[tuple[str, socket.socket]] = ()) -> list[str]:
        """Open every endpoint; return their addresses. Raises GatewayError where one cannot be, none is open then.

        `inherited` are sockets that listen already, with their names: a name of digits is the port of the endpoints
        that the socket stands for, any other leaves it to the socket's own address.
        """
        opened: list[tuple[socket.socket, Endpoint]] = []
        for name, sock in inherited:
            endpoint = next((each for each in endpoints if _stands_for(name, sock, each)), None)
            if endpoint is None:
                log.warning("the socket at %s that was passed on belongs to no [[listen]]: closed", _place(sock))
                sock.close()
                continue
            if name.isdigit():
                # Whoever named the socket has said where that port is listened on: there, and nowhere else.
                endpoints = [each for each in endpoints if each.port != endpoint.port]
            else:
                endpoints = [each for each in endpoints if each is not endpoint]
            self._inherited.add(sock.fileno())
            self._equip(sock)
            opened.append((sock, endpoint))
        for endpoint in endpoints:
            try:
                opened.append((self._open(endpoint), endpoint))
            except OSError as error:
                for sock, _ in opened:
                    sock.close()
                self._inherited.clear()
                raise GatewayError(f"cannot listen on {endpoint}: {error.strerror or error}") from None
        self._sockets = [
            (sock, endpoint if sock.fileno() in self._inherited else _as_bound(sock, endpoint))
            for sock, endpoint in opened
        ]
        return [
            f"{endpoint} (inherited: {_place(sock)})" if sock.fileno() in self._inherited else str(endpoint)
            for sock, endpoint in self._sockets
        ]

    @property
    def inherited(self) -> bool:
        """Whether sockets of ours live on in somebody else's hands: clients may come back at once."""
        return bool(self._inherited)

    def start(self) -> None:
        """Begin to accept."""
        for sock, endpoint in self._sockets:
            self._loop.add_reader(sock.fileno(), partial(self._accept, sock, endpoint))

    def replace(self, endpoints: list[Endpoint]) -> dict[int, Door]:
        """Give the listeners that stay the rules and certificates of `endpoints`; the new door by the old one's id."""
        doors: dict[int, Door] = {}
        for number, (sock, endpoint) in enumerate(self._sockets):
            same = (each for each in endpoints if (each.address, each.port) == (endpoint.address, endpoint.port))
            renewed = next(same, None)
            if renewed is not None:
                doors[id(endpoint.door)] = renewed.door
                self._sockets[number] = sock, renewed
                self._loop.remove_reader(sock.fileno())
                self._loop.add_reader(sock.fileno(), partial(self._accept, sock, renewed))
        return doors

    def pace(self, *, unanswered: float, handshake: float, accepts: float) -> None:
        """Take these times and this rate in place of those it was made with; new connections go by them."""
        self._unanswered, self._handshake = unanswered, handshake
        self._rate.pace(accepts)
        for sock, _ in self._sockets:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(unanswered * 1000))

    def tick(self, now: float) -> None:
        """Called about once a second."""
        for preface in list(self._prefaces.values()):
            preface.tick(now)
        self._rate.forget(now)

    def leave_shared(self) -> None:
        """Leave the ports that other gateways share: the kernel gives them every new connection from here on.

        What it has given to this one already is taken in first: a listening socket that closes resets its queue.
        """
        shared = [(sock, endpoint) for sock, endpoint in self._sockets if self._is_shared(sock, endpoint)]
        for sock, endpoint in shared:
            self._loop.remove_reader(sock.fileno())
            while self._accept(sock, endpoint):
                pass
            sock.close()
        self._sockets = [each for each in self._sockets if each not in shared]

    def stop(self) -> None:
        """Accept nothing more; whoever has not said yet whom it speaks for is let go."""
        for preface in list(self._prefaces.values()):
            preface.close()
        for sock, endpoint in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                passed_on = sock.fileno() in self._inherited
                sock.close()
                if endpoint.address.startswith("unix:") and not passed_on:
                    try:
                        os.unlink(endpoint.address.removeprefix("unix:"))
                    except FileNotFoundError:
                        pass  # somebody tidied up before us
        self._sockets = []

    def _open(self, endpoint: Endpoint) -> socket.socket:
        if endpoint.address.startswith("unix:"):
            path = endpoint.address.removeprefix("unix:")
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass  # nothing is left of a run before
            place: str | tuple[str, int] = path
        else:
            family = socket.AF_INET6 if ":" in endpoint.address or not endpoint.address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if endpoint.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if endpoint.address else 0)
            place = (endpoint.address, endpoint.port)
        try:
            sock.bind(place)
        except OSError:
            sock.close()
            raise
        self._equip(sock)
        sock.listen(BACKLOG)
        return sock

    def _equip(self, sock: socket.socket) -> None:
        """Accepted sockets inherit what is set here."""
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, int(self._unanswered * 1000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setblocking(False)

    def _is_shared(self, sock: socket.socket, endpoint: Endpoint) -> bool:
        return endpoint.reuse_port and sock.family != socket.AF_UNIX and sock.fileno() not in self._inherited

    def _accept(self, listener: socket.socket, endpoint: Endpoint) -> bool:
        """Take what came in; whether there may be more."""
        for _ in range(ACCEPTS):
            try:
                sock, address = listener.accept()
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                self._pause(listener, endpoint, error)
                return False
            self._resumed()
            peer = str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else "unix"
            trusted = peer == "unix" or is_trusted(peer, endpoint.door.proxies)
            reason = self._owner.refusal(peer, endpoint.door, len(self._prefaces))
            if reason is None and not trusted and not self._rate.take(peer, self._clock()):
                reason = "accept-rate"
            if reason is not None:
                # Without a word: what it costs to say one would be the attack.
                self._owner.count(reason)
                sock.close()
            elif trusted and endpoint.door.proxy_protocol:
                self._await_preface(sock, peer, endpoint)
            else:
                self._owner.admit(sock, peer, endpoint, None)
        return True

    def _await_preface(self, sock: socket.socket, peer: str, endpoint: Endpoint) -> None:
        key = next(self._keys)

        def told(source: Source | None, fault: str | None) -> None:
            del self._prefaces[key]
            if source is None:
                self._owner.count("proxy-protocol")
                log.warning("%s: %s", peer, fault)
                sock.close()
            else:
                self._owner.admit(sock, source.address or peer, endpoint, source)

        self._prefaces[key] = Preface(sock, self._loop, told, self._clock() + self._handshake)

    def _pause(self, listener: socket.socket, endpoint: Endpoint, error: OSError) -> None:
        """Out of file descriptors: clients live on, accepting waits a moment."""
        now = self._clock()
        self._owner.count("file-descriptors")
        if self._out_since is None:
            self._out_since = now
        if self._said_at is None or now - self._said_at >= SAY_AGAIN:
            self._said_at = now
            self._owed = True
            log.warning("cannot accept: %s; clients live on, new ones wait", error.strerror)
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(1.0, self._resume, listener, endpoint)

    def _resume(self, listener: socket.socket, endpoint: Endpoint) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener.fileno(), partial(self._accept, listener, endpoint))

    def _resumed(self) -> None:
        if self._out_since is not None:
            # One word of relief for one of trouble, however often it comes and goes.
            if self._owed:
                log.info("accepting again after %.0f s", self._clock() - self._out_since)
                self._owed = False
            self._out_since = None


def descriptors_for_clients() -> int:
    """How many connections the process may hold open, some descriptors left for all else; raises the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1_000_000 if hard == resource.RLIM_INFINITY else max(1, hard - RESERVED_FDS)


def _stands_for(name: str, sock: socket.socket, endpoint: Endpoint) -> bool:
    if sock.family == socket.AF_UNIX:
        return endpoint.address == f"unix:{sock.getsockname()}"
    if name.isdigit():
        return endpoint.port == int(name) and not endpoint.address.startswith("unix:")
    address, port = sock.getsockname()[:2]
    everywhere = ("::", "0.0.0.0")
    return endpoint.port == port and (endpoint.address == address or (not endpoint.address and address in everywhere))


def _place(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _as_bound(sock: socket.socket, endpoint: Endpoint) -> Endpoint:
    if sock.family == socket.AF_UNIX:
        return endpoint
    return msgspec.structs.replace(endpoint, port=sock.getsockname()[1])
