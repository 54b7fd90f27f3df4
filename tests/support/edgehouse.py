"""The real server, sessions and hub on a socket and a loop made of memory: one input in, all consequences out."""

import itertools
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from support.edge import PAGE, Upstreams

from gateway.edge.admission import ServerLimits
from gateway.edge.credentials import Judge
from gateway.edge.dialects.msgpack import NAME as MSGPACK
from gateway.edge.dialects.msgpack import NativeMsgpack
from gateway.edge.dialects.native import NAME as JSON
from gateway.edge.dialects.native import NativeJson
from gateway.edge.endpoints import Endpoint
from gateway.edge.frames import Desk
from gateway.edge.front import Front
from gateway.edge.origin import parse_rule
from gateway.edge.rate import Rate
from gateway.edge.roles import Role
from gateway.edge.room import Room, SessionLimits
from gateway.edge.server import Server
from gateway.edge.visits import Access
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds

ROLE = Role("viewer", subscribe=("a/#", "b/+/c"), publish=("a/x",), deny=("a/secret/#",), rights=("gateway",))

HIDDEN = b"7302951846"


class Loop:
    """Readers, and what is to be called soon."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.soon: deque[Callable[[], None]] = deque()

    def add_reader(self, fd: int, call: Callable[[], None]) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        self.readers.pop(fd, None)

    def add_writer(self, fd: int, call: Callable[[], None]) -> None:
        raise AssertionError("this socket takes everything")

    def remove_writer(self, fd: int) -> None:
        pass

    def call_soon(self, call: Callable[..., None], *arguments: Any) -> None:
        self.soon.append(lambda: call(*arguments))

    def run(self) -> None:
        for _ in range(10_000):
            if not self.soon:
                return
            self.soon.popleft()()
        raise AssertionError("the loop never comes to rest")


class Socket:
    """Gives what it was given, and takes everything."""

    numbers = itertools.count(1000)

    def __init__(self, data: bytes, piece: int) -> None:
        self._pieces = deque(data[at : at + piece] for at in range(0, len(data), piece))
        self._number = next(self.numbers)
        self.sent = bytearray()

    def fileno(self) -> int:
        return self._number

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            raise BlockingIOError
        return self._pieces.popleft()

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self._number = -1

    @property
    def waiting(self) -> bool:
        return bool(self._pieces) and self._number >= 0


def _raised(connection: object) -> None:
    """The exception that is under way goes on to whoever called."""
    raise


class House:
    """A server with one viewer role for whoever comes."""

    def __init__(self) -> None:
        self.loop = Loop()
        self._ticks = itertools.count()
        clock = lambda: next(self._ticks) / 1e6  # noqa: E731 - time passes with every look at it
        hub = Hub(schedule=self.loop.call_soon, clock=clock)
        log = MemoryLog(hub.take, epoch="e1", limit=1 << 20, age=600.0, clock=clock)
        self.log = log
        room = Room(
            hub=hub,
            log=log,
            name="fuzz",
            build="0",
            heartbeat=20.0,
            limits=SessionLimits(commands_per_second=1e9),
            clock=clock,
            wall=clock,
            desk=Desk(self.loop.call_soon, clock),
            upstreams=Upstreams(),
        )
        json, msgpack = NativeJson(), NativeMsgpack()
        front = Front(
            access=Access([parse_rule("https://panel.example")], "allow", "viewer"),
            judge=Judge(roles={"viewer": ROLE}, clock=clock, wall=clock),
            assets={"/": PAGE},
            dialects={"": lambda: json, JSON: lambda: json, MSGPACK: lambda: msgpack},
            upstreams=Upstreams(),
        )
        limits = ServerLimits(accepts=1_000_000_000)
        front.data.requests = Rate(1e9)
        self.server = Server(loop=cast(Any, self.loop), front=front, room=room, limits=limits, bounds=Bounds())
        self.server.fault = _raised  # type: ignore[method-assign] # it is what is looked for
        self.endpoint = Endpoint("127.0.0.1", 8880)
        for topic, payload in (("a/1", b"1"), ("a/secret/2", HIDDEN), ("b/x/c", b"3"), ("d", HIDDEN)):
            log.append([Message(topic, payload, 1.0, "test", False, 0)])

    def visit(self, data: bytes, *, piece: int = 4096) -> bytes:
        """What a client that sends `data` in pieces gets; afterwards nothing of it is left in the house."""
        sock = Socket(data, piece)
        number = sock.fileno()
        self.server.admit(cast(socket.socket, sock), "192.0.2.7", self.endpoint, None)
        while sock.waiting and number in self.loop.readers:
            self.loop.readers[number]()
            self.loop.run()
        self.log.append([Message("a/1", b"2", 1.0, "test", False, 0)])
        self.loop.run()
        for connection in list(self.server.connections.values()):
            connection.abort("the visit is over")
        self.loop.run()
        assert not self.server.connections
        assert number not in self.loop.readers
        assert self.server.room.hub.audiences == 0
        assert HIDDEN not in sock.sent, "what the role may not see was told"
        return bytes(sock.sent)
