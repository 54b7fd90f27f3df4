"""A client's conversation without a socket: the real session, hub, log and dialect; what comes out is kept."""

from collections import deque
from collections.abc import Callable
from typing import Any

from support.row import InRow

from gateway.edge.credentials import Identity, Refusal
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.registry import Setting, factories
from gateway.edge.events import gap_of
from gateway.edge.frames import Desk
from gateway.edge.roles import Role
from gateway.edge.room import Room, SessionLimits
from gateway.edge.session import Session
from gateway.errors import CloseConnection, CommandError
from gateway.hub.batch import Batch
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Outbox
from gateway.hub.ports import CONNECTED, UpstreamState
from gateway.hub.rate import Pressure

ROLE = Role("tester", subscribe=("#",), publish=("commands/#",), deny=("secret/#",))
TOKEN = "right"


def unframe(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each WebSocket frame in `data`."""
    frames = []
    while data:
        assert data[0] & 0x80, "a frame of a server is whole"
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= at + size
        frames.append((data[0] & 0x0F, data[at : at + size]))
        data = data[at + size :]
    return frames


class Kept(InRow):
    """A Line whose socket takes everything, unless `queued`."""

    def __init__(self, bounds: Bounds, gap: Callable[[Any], bytes]) -> None:
        self.queued = False
        self.data = b""
        self.closed: int | None = None
        self.aborted = False
        self._bounds = bounds
        self._gap = gap

    def send(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def push(self, batch: Batch) -> None:
        self.data += batch.blob

    def short(self, batch: Batch, taken: int) -> None:
        raise AssertionError("everything is taken")

    def failed(self, batch: Batch, error: OSError) -> None:
        raise error

    def deliver(self, frame: bytes) -> None:
        self.data += frame

    def pressure(self) -> Pressure:
        return Pressure(behind=False)

    def finish(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = code

    def abort(self, reason: str) -> None:
        self.aborted = True

    def backlog(self) -> Outbox:
        return Outbox(self._bounds, self._gap)


class Broker:
    """Takes what clients publish; `down` is why it does not."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, int, bool]] = []
        self.down: CommandError | None = None

    def publish(
        self, topic: str, payload: bytes, *, qos: int, retain: bool, done: Callable[[CommandError | None], None]
    ) -> None:
        self.published.append((topic, payload, qos, retain))
        done(self.down)


class Links:
    """One link that is up."""

    def states(self) -> list[UpstreamState]:
        return [UpstreamState("site", CONNECTED, 1.0)]


class House:
    """A gateway without sockets; `now` is its monotonic clock, `turn` one run of everything that waits."""

    def __init__(self, **setting: Any) -> None:
        self.now = 1000.0
        self._waiting: deque[Callable[[], None]] = deque()
        schedule = self._waiting.append
        self.hub = Hub(schedule=schedule, clock=lambda: self.now)
        self.log = MemoryLog(self.hub.take, epoch="e1", limit=1 << 24, age=600.0, clock=lambda: self.now)
        self.broker = Broker()
        self._ids = 0
        self.factories = factories(Setting(limit=4096, new_id=self._new_id, **setting))
        self.room = Room(
            hub=self.hub,
            log=self.log,
            name="house",
            build="0",
            heartbeat=20.0,
            limits=SessionLimits(message_size=4096),
            clock=lambda: self.now,
            wall=lambda: 1_700_000_000.0 + self.now,
            desk=Desk(schedule, lambda: self.now),
            upstreams=Links(),
            sender=self.broker,
            authenticate=lambda session, token: (
                Identity(ROLE, credential="t", method="token") if token == TOKEN else Refusal("no such token")
            ),
            auth_methods=("token",),
        )

    def _new_id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    def turn(self) -> None:
        while self._waiting:
            self._waiting.popleft()()

    def publish(self, topic: str, payload: bytes = b"1", **facts: Any) -> int:
        """One message of the broker; its offset."""
        self.log.append([Message(topic, payload, 1_700_000_000.0, "site", **facts)])
        self.turn()
        return self.log.newest

    def client(self, token: str, *, anonymous: bool = True, bounds: Bounds | None = None) -> "Client":
        """A client that speaks the dialect of a subprotocol token or path."""
        return Client(self, self.factories[token](), anonymous=anonymous, bounds=bounds or Bounds())


class Client:
    """One client; `heard` is what it was sent since it was last asked."""

    def __init__(self, house: House, dialect: Dialect, *, anonymous: bool, bounds: Bounds) -> None:
        self.house = house
        self.dialect = dialect
        self.line = Kept(bounds, lambda ledger: dialect.event(gap_of(ledger)))
        self.reason = ""
        self.session = Session(
            id="s1",
            wire=self.line,
            dialect=dialect,
            room=house.room,
            role=ROLE if anonymous else None,
            identity=Identity(ROLE, credential="", method="anonymous") if anonymous else None,
        )
        self.session.start()
        house.turn()

    def say(self, data: bytes | str) -> list[bytes]:
        """Send one WebSocket message; the payloads of the frames that come back."""
        text = isinstance(data, str)
        self._try(lambda: self.session.receive(data.encode() if isinstance(data, str) else data, text=text))
        return self.heard()

    def beat(self, seconds: float) -> list[bytes]:
        """Let time pass, a second at a time."""
        for _ in range(int(seconds)):
            self.house.now += 1.0
            self._try(lambda: self.session.beat(self.house.now))
        return self.heard()

    def heard(self) -> list[bytes]:
        self.house.turn()
        data, self.line.data = self.line.data, b""
        return [payload for _, payload in unframe(data)]

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CloseConnection as end:
            self.reason = end.reason
            self.session.end()
            self.line.finish(end.code, end.reason)
