"""All listeners together: opened all or none, some of them by somebody before us; paced, replaced, closed."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from gateway.edge.descriptors import Shortage
from gateway.edge.doorkeeper import Doorkeeper, Owner
from gateway.edge.doors import Door
from gateway.edge.endpoints import Endpoint, as_bound, equip, give_up_after, listening, place_of, stands_for
from gateway.edge.listener import Listener
from gateway.errors import GatewayError

log = logging.getLogger("gateway.edge")


class Listeners:
    """`unanswered` is TCP_USER_TIMEOUT in seconds; `handshake` and `accepts` are the Doorkeeper's."""

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
        self._doorkeeper = Doorkeeper(owner, loop=loop, clock=clock, handshake=handshake, accepts=accepts)
        self._shortage = Shortage()
        self._listeners: list[Listener] = []

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where is listened now, with the ports that were given."""
        return [listener.endpoint for listener in self._listeners]

    @property
    def inherited(self) -> bool:
        """Whether sockets of ours live on in somebody else's hands: clients may come back at once."""
        return any(listener.passed_on for listener in self._listeners)

    def open(self, endpoints: list[Endpoint], inherited: Sequence[tuple[str, socket.socket]] = ()) -> list[str]:
        """Open every endpoint; return their addresses. Raises GatewayError where one cannot be, none is open then.

        `inherited` are sockets that listen already, with their names: a name of digits is the port of the endpoints
        that the socket stands for, any other leaves it to the socket's own address.
        """
        opened: list[Listener] = []
        for name, sock in inherited:
            endpoint = next((each for each in endpoints if stands_for(name, sock, each)), None)
            if endpoint is None:
                log.warning("the socket at %s that was passed on belongs to no [[listen]]: closed", place_of(sock))
                sock.close()
                continue
            if name.isdigit():
                # Whoever named the socket has said where that port is listened on: there, and nowhere else.
                endpoints = [each for each in endpoints if each.port != endpoint.port]
            else:
                endpoints = [each for each in endpoints if each is not endpoint]
            equip(sock, self._unanswered)
            opened.append(self._listener(sock, endpoint, passed_on=True))
        for endpoint in endpoints:
            try:
                sock = listening(endpoint, self._unanswered)
            except OSError as error:
                for listener in opened:
                    listener.close()
                raise GatewayError(f"cannot listen on {endpoint}: {error.strerror or error}") from None
            opened.append(self._listener(sock, as_bound(sock, endpoint), passed_on=False))
        self._listeners = opened
        return [str(listener) for listener in opened]

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            listener.start()

    def replace(self, endpoints: list[Endpoint]) -> dict[int, Door]:
        """Give the listeners that stay the rules and certificates of `endpoints`; the new door by the old one's id."""
        doors: dict[int, Door] = {}
        for listener in self._listeners:
            before = listener.endpoint
            same = (each for each in endpoints if (each.address, each.port) == (before.address, before.port))
            renewed = next(same, None)
            if renewed is not None:
                doors[id(before.door)] = renewed.door
                listener.endpoint = renewed
        return doors

    def pace(self, *, unanswered: float, handshake: float, accepts: float) -> None:
        """Take these times and this rate in place of those it was made with; new connections go by them."""
        self._unanswered = unanswered
        self._doorkeeper.pace(handshake=handshake, accepts=accepts)
        for listener in self._listeners:
            if listener.endpoint.path is None:
                give_up_after(listener.sock, unanswered)

    def tick(self, now: float) -> None:
        """Called about once a second."""
        self._doorkeeper.tick(now)

    def leave_shared(self) -> None:
        """Leave the ports that other gateways share: the kernel gives them every new connection from here on."""
        shared = [listener for listener in self._listeners if listener.shared]
        for listener in shared:
            listener.leave()
        self._listeners = [each for each in self._listeners if each not in shared]

    def stop(self) -> None:
        """Accept nothing more; whoever has not said yet whom it speaks for is let go."""
        self._doorkeeper.close()
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    def _listener(self, sock: socket.socket, endpoint: Endpoint, *, passed_on: bool) -> Listener:
        return Listener(
            sock,
            endpoint,
            passed_on=passed_on,
            loop=self._loop,
            clock=self._clock,
            doorkeeper=self._doorkeeper,
            shortage=self._shortage,
            short=lambda: self._owner.count("file-descriptors"),
        )
