"""What comes in from one client: first a request, then the frames of its messages, never more than it may send."""

from collections.abc import Callable
from typing import Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN

from gateway.edge.assembly import Assembly
from gateway.edge.flood import Allowance, Flood
from gateway.edge.http import Reply
from gateway.edge.requesthead import RequestHead
from gateway.edge.session import Session
from gateway.edge.states import State
from gateway.edge.websocket import WebSocket, refusal
from gateway.errors import BAD_UTF8, NOT_AUTHENTICATED, CloseConnection

BEFORE_SIGN_IN = 64 * 1024  # bytes that a client may send before it has signed in
POLICY = 1008  # RFC 6455, 7.4.1: "violates its policy"


class Means(Protocol):
    """What all clients share."""

    flood: Flood
    clock: Callable[[], float]

    def count(self, reason: str) -> None:
        """One more connection was ended for `reason`."""


class Owner(Protocol):
    """The connection that it comes in on."""

    state: State
    session: Session | None

    @property
    def host(self) -> Means:
        """What all clients share."""

    @property
    def deaf(self) -> bool:
        """Whether nothing that the client still sends matters."""

    def heard(self, now: float) -> None:
        """The client lives."""

    def requested(self, request: Request) -> None:
        """The request is there: whatever becomes of it, `state` tells."""

    def reply(self, reply: Reply) -> None:
        """Answer by plain HTTP and close."""

    def control(self) -> None:
        """Send what the protocol has to say."""

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection."""

    def over(self, end: CloseConnection) -> None:
        """The conversation has come to its end."""


class Incoming:
    """Cuts, counts and checks; `websocket` parses."""

    __slots__ = ("_allowance", "_assembly", "_before_sign_in", "_head", "_owner", "_websocket")

    def __init__(self, owner: Owner, websocket: WebSocket, now: float) -> None:
        self._owner = owner
        self._websocket = websocket
        self._allowance = Allowance(owner.host.flood, now)
        self._head: RequestHead | None = None
        self._assembly: Assembly | None = None
        self._before_sign_in = 0

    def take(self, data: bytes) -> None:
        """The client has sent `data`."""
        owner = self._owner
        now = owner.host.clock()
        if not self._allowance.take(len(data), now):
            self._refuse("flood", POLICY, "more data than a client may send")
            return
        if owner.deaf:
            return
        owner.heard(now)
        if owner.state is State.REQUESTED:
            data = self._request(data)
        if not data or owner.deaf or owner.state is State.GONE:
            return
        if owner.session is not None and owner.session.role is None:
            self._before_sign_in += len(data)
            if self._before_sign_in > BEFORE_SIGN_IN:
                text = f"more than {BEFORE_SIGN_IN} bytes before signing in"
                self._refuse("before-sign-in", NOT_AUTHENTICATED.code, text)
                return
        self._feed(data)

    def _request(self, data: bytes) -> bytes:
        """Take what belongs to the request; the rest, which the protocol may judge once the request is accepted."""
        owner = self._owner
        head = self._head = self._head or RequestHead()
        try:
            size = head.take(data)
        except ValueError as error:
            owner.host.count("header-size")
            owner.reply(Reply.refusal(431, str(error)))
            return b""
        self._feed(data[:size])
        if owner.state is not State.REQUESTED:
            self._head = None
        return data[size:]

    def _feed(self, data: bytes) -> None:
        owner, websocket = self._owner, self._websocket
        try:
            websocket.receive_data(data)
        except EOFError:
            return  # the protocol has ended; whatever still comes is nothing to it
        for event in websocket.events_received():
            if isinstance(event, Request):
                owner.requested(event)
            elif isinstance(event, Frame) and owner.state is State.OPEN:
                self._frame(event)
            if owner.state is State.GONE:
                return
        if owner.state is State.REQUESTED and websocket.handshake_exc is not None:
            owner.host.count("malformed")
            owner.reply(refusal(websocket.handshake_exc))
            return
        if owner.state is State.OPEN and websocket.parser_exc is not None and websocket.close_sent is not None:
            owner.host.count(f"closed-{websocket.close_sent.code}")
        if owner.state is State.OPEN or owner.state is State.CLOSING:
            owner.control()

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        costly = opcode in (Opcode.PING, Opcode.PONG, Opcode.CONT) or not frame.fin
        if costly and not self._allowance.take_frame():
            self._refuse("flood", POLICY, "more control frames or fragments than a client may send")
            return
        if opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if self._websocket.writes and self._websocket.state is OPEN:
                self._owner.control()  # pongs go before the answer to what came behind their pings
            self._data(frame)

    def _data(self, frame: Frame) -> None:
        owner, data = self._owner, bytes(frame.data)
        text = frame.opcode is Opcode.TEXT
        try:
            if frame.fin and frame.opcode is not Opcode.CONT:
                if text and not data.isascii():
                    data.decode()
            else:
                assembly = self._assembly
                if assembly is None or frame.opcode is not Opcode.CONT:
                    assembly = self._assembly = Assembly(text=text)
                whole = assembly.add(data, last=frame.fin)
                if whole is None:
                    return
                data, text, self._assembly = whole, assembly.text, None
        except UnicodeDecodeError:
            self._refuse(f"closed-{BAD_UTF8.code}", BAD_UTF8.code, BAD_UTF8.meaning)
            return
        if owner.session is None:
            return
        try:
            owner.session.receive(data, text=text)
        except CloseConnection as end:
            owner.over(end)

    def _refuse(self, counter: str, code: int, reason: str) -> None:
        self._owner.host.count(counter)
        self._owner.fail(code, reason)
