"""A request at the door: who is on the other end, what it asks for, and what it may become. Pure."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import msgspec
from websockets.http11 import Request

from gateway.edge.commands import Subscribe
from gateway.edge.credentials import Identity
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.doors import Door
from gateway.edge.forwarded import Caller
from gateway.edge.hosts import is_own
from gateway.edge.http import Reply, Target
from gateway.edge.origin import Rule
from gateway.errors import CloseConnection


class Peer(NamedTuple):
    """The other end of the socket: its address, whether it is on this machine and came by TLS, the listener's rules.

    `certificate` are the names of the client's certificate, `names` those of ours.
    """

    address: str
    loopback: bool
    secure: bool
    door: Door = Door()
    certificate: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Upgrade(NamedTuple):
    """The request becomes a stream. `close` ends it again right after the handshake, with a code that scripts see."""

    dialect: Dialect
    subprotocol: str | None
    identity: Identity | None
    subscribe: Subscribe | None
    status: bool
    address: str
    close: CloseConnection | None = None


class Events(NamedTuple):
    """The request becomes a stream of Server-Sent Events; `headers` go beside those that every such answer has."""

    identity: Identity
    subscribe: Subscribe
    status: bool
    address: str
    headers: tuple[tuple[str, str], ...]


class Access(msgspec.Struct, frozen=True):
    """Which pages may come in, and the role of whoever brings no credential ("local", a role's name, or "").

    `allow` are the rules as they are written.
    """

    rules: list[Rule]
    missing: str
    anonymous: str
    allow: tuple[str, ...] = ()


class Pending(NamedTuple):
    """An answer that takes its time: None for every step on the way, then the reply, to which `headers` are added."""

    steps: Iterator[Reply | None]
    headers: tuple[tuple[str, str], ...] = ()


class Later(NamedTuple):
    """An answer that others look for: `begin` is told whom to hand the reply, to which `headers` are added."""

    begin: Callable[[Callable[[Reply], None]], None]
    headers: tuple[tuple[str, str], ...] = ()


class Resource(NamedTuple):
    """Something under /api, or /metrics: the right that it needs beside a role ("" for none), and who answers."""

    right: str
    answer: Callable[[Identity, Target], Reply | Pending | Later]


class Visit(NamedTuple):
    """A request that is well-formed, and who stands behind it."""

    request: Request
    target: Target
    peer: Peer
    caller: Caller

    @property
    def names_us(self) -> bool:
        """Whether the Host header is one of our names."""
        return is_own(self.caller.host, chain(self.peer.door.hosts, self.peer.names))
