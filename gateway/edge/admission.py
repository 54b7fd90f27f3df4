"""How many may be here at once: all together, from one address, of one user. Pure."""

from collections import Counter
from typing import TypeVar

import msgspec

from gateway.edge.credentials import Identity
from gateway.edge.doors import Door
from gateway.edge.forwarded import is_trusted
from gateway.errors import FULL

Key = TypeVar("Key")

UNIX = "unix"  # the address of whoever comes over a Unix socket
SPARE = 64  # connections above the limit that still get a handshake, to be told 1013
SPARE_PER_ADDRESS = 8


class ServerLimits(msgspec.Struct, frozen=True):
    """Limits of all connections together; `handshake`, `interval` and `timeout` in seconds, `message_size` in bytes.

    `accepts` are new connections a second from one address, five times as many in a burst.
    """

    connections: int = 1000
    per_address: int = 100
    per_user: int = 100
    accepts: int = 100
    handshake: float = 10.0
    message_size: int = 64 * 1024
    interval: float = 20.0
    timeout: float = 10.0


class Admission:
    """Counts who is here; anonymous sessions count for no user."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self._addresses: Counter[str] = Counter()
        self._users: Counter[tuple[str, str]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._addresses or self._users)

    def refusal(self, peer: str, door: Door, present: int) -> str | None:
        """Why a connection is closed at once, by the name of its counter; `present` are here or on their way in."""
        if present >= self.limits.connections + SPARE:
            return "connections"
        if peer == UNIX or is_trusted(peer, door.proxies):
            return None  # many clients behind one address: each is counted once it is known
        crowded = self._addresses[peer] >= self.limits.per_address + SPARE_PER_ADDRESS
        return "connections-per-address" if crowded else None

    def no_room(self, address: str, identity: Identity | None, present: int) -> tuple[str, str] | None:
        """Which limit a new session would pass: the name of its counter, and in words."""
        limits = self.limits
        if present > limits.connections:
            return "connections", f"{FULL.meaning}: {limits.connections} connections"
        if self._addresses[address] > limits.per_address and address != UNIX:
            return "connections-per-address", f"{limits.per_address} connections from your address are the limit"
        if identity is not None and self.crowded(identity):
            return "connections-per-user", self.too_many_of_one
        return None

    def crowded(self, identity: Identity) -> bool:
        """Whether the user has as many sessions as it may have."""
        return bool(identity.user) and self._users[_user(identity)] >= self.limits.per_user

    @property
    def too_many_of_one(self) -> str:
        """The limit of a user, in words."""
        return f"{self.limits.per_user} connections of one user are the limit"

    def arrive(self, address: str) -> None:
        """One connection more."""
        self._addresses[address] += 1

    def leave(self, address: str) -> None:
        """One connection less."""
        _less(self._addresses, address)

    def move(self, before: str, after: str) -> None:
        """A connection counts for who stands behind the proxy."""
        _less(self._addresses, before)
        self._addresses[after] += 1

    def book(self, before: Identity | None, after: Identity | None) -> None:
        """A session counts for its user."""
        if before is not None and before.user:
            _less(self._users, _user(before))
        if after is not None and after.user:
            self._users[_user(after)] += 1


def _user(identity: Identity) -> tuple[str, str]:
    return identity.method, identity.user


def _less(counter: Counter[Key], key: Key) -> None:
    """One less; nothing is kept of what has come to nought."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
