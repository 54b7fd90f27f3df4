"""Who may come in, before a byte of theirs is read: how many, how fast, and whom a proxy speaks for."""

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from gateway.edge.admission import UNIX
from gateway.edge.doors import Door
from gateway.edge.endpoints import Endpoint
from gateway.edge.forwarded import is_trusted
from gateway.edge.preface import Preface
from gateway.edge.proxy_protocol import Source
from gateway.edge.rate import Rate

log = logging.getLogger("gateway.edge")


class Owner(Protocol):
    """Who takes what comes in."""

    def refusal(self, peer: str, door: Door, waiting: int) -> str | None:
        """Why a connection from `peer` is closed at once, by the name of its counter; `waiting` are not counted yet."""

    def admit(self, sock: socket.socket, peer: str, endpoint: Endpoint, source: Source | None) -> None:
        """Take a new connection."""

    def count(self, reason: str) -> None:
        """One more connection was refused for `reason`."""


class Entrance(Protocol):
    """By which listener somebody comes."""

    @property
    def endpoint(self) -> Endpoint:
        """Its rules as they are now: a reload may change them while a proxy's header is awaited."""


class Doorkeeper:
    """`handshake` is the time in seconds for a proxy's header, `accepts` the rate of new ones from an address."""

    def __init__(
        self,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        handshake: float,
        accepts: float,
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._clock = clock
        self._handshake = handshake
        self._rate = Rate(accepts)
        self._keys = itertools.count(1)
        self._prefaces: dict[int, Preface] = {}

    def receive(self, sock: socket.socket, peer: str, entrance: Entrance) -> None:
        """Somebody has come from `peer`: an address, or UNIX."""
        endpoint = entrance.endpoint
        if not self._lets_in(peer, endpoint.door):
            sock.close()
        elif endpoint.door.proxy_protocol and _is_proxy(peer, endpoint.door):
            self._await_preface(sock, peer, entrance)
        else:
            self._owner.admit(sock, peer, endpoint, None)

    def pace(self, *, handshake: float, accepts: float) -> None:
        """Take this time and this rate in place of those it was made with."""
        self._handshake = handshake
        self._rate.pace(accepts)

    def tick(self, now: float) -> None:
        """Called about once a second."""
        for preface in list(self._prefaces.values()):
            preface.tick(now)
        self._rate.forget(now)

    def close(self) -> None:
        """Let those go who have not said yet whom they speak for."""
        for preface in list(self._prefaces.values()):
            preface.close()

    def _lets_in(self, peer: str, door: Door) -> bool:
        reason = self._owner.refusal(peer, door, len(self._prefaces))
        if reason is None and not _is_proxy(peer, door) and not self._rate.take(peer, self._clock()):
            reason = "accept-rate"
        if reason is not None:
            # Without a word: what it costs to say one would be the attack.
            self._owner.count(reason)
        return reason is None

    def _await_preface(self, sock: socket.socket, peer: str, entrance: Entrance) -> None:
        key = next(self._keys)

        def told(source: Source | None, fault: str | None) -> None:
            del self._prefaces[key]
            endpoint = entrance.endpoint
            if source is None:
                self._owner.count("proxy-protocol")
                log.warning("%s: %s", peer, fault)
                sock.close()
            elif source.address is not None and not self._lets_in(source.address, endpoint.door):
                sock.close()
            else:
                self._owner.admit(sock, source.address or peer, endpoint, source)

        self._prefaces[key] = Preface(sock, self._loop, told, self._clock() + self._handshake)


def _is_proxy(peer: str, door: Door) -> bool:
    """Whether many may stand behind `peer`."""
    return peer == UNIX or is_trusted(peer, door.proxies)
