"""One client's socket: bytes in to ServerProtocol and the session, bytes out through the outbox.

Not asyncio's transport: measured per idle WSS client, asyncio's TLS transport takes 280 KiB, a non-blocking SSLSocket
15 KiB. The socket is read and written by the loop's add_reader and add_writer. Everything that goes out passes the
outbox; while that is empty, the hub's flush calls the socket's own `send`.
"""

import asyncio
import codecs
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from gateway.edge.commands import Subscribe
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.doors import Door
from gateway.edge.events import gap_of
from gateway.edge.http import MAX_REQUEST, Reply
from gateway.edge.proxy_protocol import Source
from gateway.edge.session import Session
from gateway.edge.tcpinfo import Traffic, traffic_of
from gateway.edge.tls import names_in
from gateway.errors import BAD_UTF8, NO_PONG, NOT_AUTHENTICATED, SLOW_CONSUMER, CloseConnection
from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.heartbeat import Beat, Heartbeat
from gateway.hub.ledger import Ledger
from gateway.hub.outbox import Bounds, Outbox, Overflow
from gateway.hub.rate import Pressure

READ = 64 * 1024
READS = 4  # reads a wake-up: then the others have their turn
OFFER = 256 * 1024  # bytes offered to a plain socket at a time
OFFER_TLS = 64 * 1024  # to OpenSSL, which wants the very same bytes again until they are taken
PUMP = 4  # offers a wake-up
CLOSE_TIMEOUT = 5.0
REPLY_RATE = 64 * 1024.0  # bytes a second at which a plain answer has to be taken
BEFORE_SIGN_IN = 64 * 1024  # bytes that a client may send before it has signed in

# The library tells of every connection at INFO; the server does that in the project's own words.
_quiet = logging.getLogger("gateway.edge.websockets")
_quiet.setLevel(logging.CRITICAL)

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_LINGER_NOT = struct.pack("ii", 1, 0)


class Flood(msgspec.Struct, frozen=True):
    """How much a client may send: `frames` are control frames and fragments; each a second, and saved up at most."""

    frames: float = 50.0
    frames_burst: float = 1000.0
    bytes: float = 1024 * 1024.0
    bytes_burst: float = 4 * 1024 * 1024.0


class _Protocol(ServerProtocol):
    def recv_frame(self, frame: Frame) -> None:
        # A close frame may come between the fragments of a message (RFC 6455, 5.4 and 5.5.1); the library takes that
        # for an error.
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class State(Enum):
    """Where a connection is in its life."""

    SHAKING = "tls handshake"
    REQUESTED = "waiting for the request"
    OPEN = "open"
    ANSWERED = "answered by plain HTTP"
    CLOSING = "closing"
    GONE = "gone"


class Host(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    bounds: Bounds
    budget: Budget
    flood: Flood
    clock: Callable[[], float]

    def requested(self, connection: "Connection", request: Request) -> None:
        """The client's request has arrived: answer it by `reply` or `upgrade`."""

    def forget(self, connection: "Connection") -> None:
        """The connection is gone."""

    def count(self, reason: str) -> None:
        """One more connection was ended for `reason`."""


class Connection:
    """A client's connection; a Viewer for the hub and a Wire for the session.

    `peer` is the client's address as text, `secure` whether it came over TLS, `born` monotonic seconds; `door` are its
    listener's rules, `names` those of our certificate; `source` is what a proxy said before everything else.
    """

    __slots__ = (
        "_behind",
        "_bytes_budget",
        "_closing_at",
        "_decoder",
        "_fragments",
        "_frames_budget",
        "_host",
        "_limit",
        "_opcode",
        "_outbox",
        "_paid_at",
        "_protocol",
        "_sock",
        "_streaming",
        "_tail",
        "_taken",
        "_unproven",
        "_writing",
        "born",
        "door",
        "failure",
        "heartbeat",
        "key",
        "lost",
        "names",
        "peer",
        "queued",
        "rtt",
        "secure",
        "send",
        "session",
        "source",
        "state",
    )

    def __init__(
        self,
        sock: socket.socket,
        *,
        host: Host,
        key: int,
        peer: str,
        context: ssl.SSLContext | None,
        message_size: int,
        heartbeat: Heartbeat,
        door: Door,
        names: tuple[str, ...] = (),
        source: Source | None = None,
    ) -> None:
        sock.setblocking(False)
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._sock = sock
        self._host = host
        self.key = key
        self.peer = peer
        self.door = door
        self.names = names
        self.source = source
        self.secure = context is not None
        self.send: Callable[[bytes], int] = sock.send
        self.queued = False
        self.session: Session | None = None
        self.state = State.REQUESTED if context is None else State.SHAKING
        self.born = heartbeat.heard_at
        self.heartbeat = heartbeat
        self.failure: str | None = None
        self.lost = 0
        self.rtt: float | None = None
        self._behind = False
        self._taken = 0
        self._limit = OFFER if context is None else OFFER_TLS
        self._outbox: Outbox | None = None
        self._protocol = _Protocol(max_size=message_size, logger=_quiet)
        self._fragments: list[bytes] | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._opcode = Opcode.TEXT
        self._frames_budget = host.flood.frames_burst
        self._bytes_budget = host.flood.bytes_burst
        self._unproven = 0
        self._streaming = False
        self._paid_at = self.born
        self._closing_at: float | None = None
        self._writing = False
        self._tail = b""
        host.loop.add_reader(sock.fileno(), self._readable)

    # What the hub and the session call.

    def push(self, batch: Batch) -> None:
        if self.state is not State.OPEN:
            return
        outbox = self._outbox or self._open_outbox()
        try:
            outbox.push(batch, now=None if batch.messages is None else self._host.clock())
        except Overflow:
            self._overflowed()
            return
        if not self.queued:
            self.queued = True
            self._pump()

    def short(self, batch: Batch, taken: int) -> None:
        outbox = self._outbox or self._open_outbox()
        self.queued = True
        try:
            outbox.resume(batch, taken, now=self._host.clock())
        except Overflow:
            self._overflowed()
            return
        self._want_write()

    def failed(self, batch: Batch, error: OSError) -> None:
        if isinstance(error, _WOULD_BLOCK):
            outbox = self._outbox or self._open_outbox()
            self.queued = True
            if self.secure:
                outbox.refused(batch)
            else:
                try:
                    outbox.push(batch, now=self._host.clock())
                except Overflow:
                    self._overflowed()
                    return
            self._want_write()
        elif self.state is not State.GONE:
            self.abort(str(error))

    def deliver(self, frame: bytes) -> None:
        self.push(solo(frame))

    def finish(self, code: int, reason: str) -> None:
        if self._streaming:
            self._finish_stream()
            return
        if self.state is not State.OPEN or self._protocol.state is not OPEN:
            return
        if self.session is not None:
            self.session.end()
        self._protocol.send_close(code, _cut(reason))
        for frame in self._protocol.data_to_send():
            if frame:
                self.push(solo(frame))
        self._close_by()

    # What the server calls.

    def reply(self, reply: Reply, *, head: bool = False) -> None:
        """Answer by plain HTTP and close."""
        if self.state is not State.REQUESTED:
            return
        self.state = State.OPEN
        self.push(solo(reply.encode(head=head)))
        if self.state is State.OPEN:
            self.state = State.ANSWERED
            self._close_by(CLOSE_TIMEOUT + len(reply.body) / REPLY_RATE)
            if not self.queued:
                self._half_close()

    def stream(self, head: bytes) -> bool:
        """Answer by plain HTTP that goes on: what the session says follows the head as it is."""
        if self.state is not State.REQUESTED:
            return False
        self.state = State.OPEN
        self._streaming = True
        self.push(solo(head))
        return self.state is State.OPEN

    @property
    def _answered(self) -> bool:
        return self.state is State.ANSWERED

    @property
    def certificate(self) -> tuple[str, ...]:
        """The names of the client's certificate, none where it showed none."""
        return names_in(self._sock.getpeercert()) if isinstance(self._sock, ssl.SSLSocket) else ()

    def upgrade(self, request: Request, headers: list[tuple[str, str]]) -> bool:
        """Accept the WebSocket handshake; False where the request is no good one and was refused."""
        response = self._protocol.accept(request)
        if response.status_code != 101:
            reason = str(self._protocol.handshake_exc or "not a WebSocket handshake")
            # RFC 6455, 4.4: a version that is not ours is answered by the one that is.
            extra = [(k, v) for k, v in response.headers.raw_items() if k in ("Upgrade", "Allow")]
            if "Sec-WebSocket-Version" in reason:
                extra.append(("Sec-WebSocket-Version", "13"))
            status = 400 if response.status_code == 505 else response.status_code
            self.reply(Reply.refusal(status, reason, extra))
            return False
        for name, value in headers:
            response.headers[name] = value
        self._protocol.send_response(response)
        self.state = State.OPEN
        for data in self._protocol.data_to_send():
            self.push(solo(data))
        return self.state is State.OPEN

    def start(self, subscribe: Subscribe | None) -> None:
        """Let the session say its first word."""
        assert self.session is not None
        try:
            self.session.start(subscribe)
        except CloseConnection as end:
            self._ended(end)

    def adopt(self, bounds: Bounds, *, interval: float, timeout: float) -> None:
        """Go by these bounds, and this heartbeat, from now on."""
        self.heartbeat.interval, self.heartbeat.timeout = interval, timeout
        if self._outbox is not None:
            self._outbox.bounds = bounds

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        if self._streaming:
            return
        self._protocol.send_ping(b"")
        self._control()

    def tick(self, now: float, handshake: float) -> None:
        """Called about once a second: deadlines, heartbeat, patience."""
        if self._closing_at is not None:
            if now >= self._closing_at:
                self.abort("did not close in time")
            return
        if self.state is State.SHAKING or self.state is State.REQUESTED:
            if now - self.born > handshake:
                self._host.count("handshake-timeout")
                self.failure = "no request in time"
                self._gone()
            return
        if self.state is not State.OPEN:
            return
        if self._outbox is not None and self._outbox.overdue(now):
            self._overflowed()
            return
        # Nothing comes back over a stream of plain HTTP: whether the client lives is for TCP to find out.
        beat = Beat.NOTHING if self._streaming else self.heartbeat.beat(now)
        if beat is Beat.PING:
            self.ping()
        elif beat is Beat.DEAD:
            self._host.count("no-pong")
            self._fail(NO_PONG.code, NO_PONG.meaning)
            return
        if self.session is not None:
            try:
                self.session.beat(now)
            except CloseConnection as end:
                self._ended(end)

    @property
    def queue_size(self) -> int:
        """Bytes that wait in the outbox."""
        return self._outbox.size if self._outbox is not None else 0

    @property
    def traffic(self) -> Traffic | None:
        """What the kernel counted; None for a Unix socket."""
        return traffic_of(self._sock)

    def pressure(self) -> Pressure:
        pressure = Pressure(
            self._behind or self.queued, self._outbox.waiting if self._outbox is not None else 0, self._taken
        )
        self._behind, self._taken = False, 0
        return pressure

    def owe(self, ledger: Ledger) -> None:
        if frame := self._gap(ledger):
            self.deliver(frame)

    def backlog(self) -> Outbox:
        """A further outbox for this client, under the same bounds."""
        return Outbox(self._host.bounds, self._gap, budget=self._host.budget)

    def abort(self, reason: str) -> None:
        """End at once; what the kernel still holds for the client is thrown away."""
        if self.state is State.GONE:
            return
        self.failure = self.failure or reason
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        except OSError:
            pass  # the socket is dead already: nothing to throw away
        self._gone()

    # Reading.

    def _readable(self) -> None:
        if self.state is State.SHAKING:
            self._shake()
            return
        for _ in range(READS):
            try:
                data = self._sock.recv(READ)
            except ssl.SSLWantReadError:
                return
            except _WOULD_BLOCK:
                return
            except OSError as error:
                self.failure = str(error)
                self._gone()
                return
            if not data:
                self._gone()
                return
            self._received(data)
            if self.state is State.GONE or (not self.secure and len(data) < READ):
                return
        if self.secure and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            # What OpenSSL has decrypted already wakes nobody up.
            self._host.loop.call_soon(self._again)

    def _again(self) -> None:
        if self.state is not State.GONE:
            self._readable()

    def _shake(self) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._stop_writing()
            return
        except ssl.SSLWantWriteError:
            self._want_write()
            return
        except OSError as error:
            self._host.count("tls-handshake")
            self.failure = f"TLS handshake: {error}"
            self._gone()
            return
        self._stop_writing()
        self.state = State.REQUESTED
        self._readable()

    def _received(self, data: bytes) -> None:
        now = self._host.clock()
        flood, passed = self._host.flood, now - self._paid_at
        self._bytes_budget = min(self._bytes_budget + passed * flood.bytes, flood.bytes_burst) - len(data)
        self._frames_budget = min(self._frames_budget + passed * flood.frames, flood.frames_burst)
        self._paid_at = now
        if self._bytes_budget < 0:
            self._host.count("flood")
            self._fail(1008, "more data than a client may send")
            return
        if self.state is State.ANSWERED or (self.state is State.CLOSING and self._protocol.eof_sent):
            return
        if self._streaming:
            return  # a client of such a stream has nothing more to say
        if self.heartbeat.asked_at is not None:
            self.rtt = now - self.heartbeat.asked_at
        self.heartbeat.heard(now)
        if self.state is State.REQUESTED:
            # The protocol would judge frames that came with the request before the request is accepted.
            joined = self._tail + data
            end = joined.find(b"\r\n\r\n")
            self._tail = joined[-3:]
            cut = end + 4 - (len(joined) - len(data)) if end >= 0 else len(data)
            self._unproven += cut
            if self._unproven > MAX_REQUEST:
                self._host.count("header-size")
                self.reply(Reply.refusal(431, f"a request has at most {MAX_REQUEST} bytes of headers"))
                return
            self._feed(data[:cut])
            data = data[cut:]
            if end >= 0:
                self._unproven = 0
            if self._streaming or self._answered:
                return
        if not data or self.state is State.GONE:
            return
        if self.session is not None and self.session.role is None:
            self._unproven += len(data)
            if self._unproven > BEFORE_SIGN_IN:
                self._host.count("before-sign-in")
                self._fail(NOT_AUTHENTICATED.code, f"more than {BEFORE_SIGN_IN} bytes before signing in")
                return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        try:
            protocol.receive_data(data)
        except EOFError:
            return  # the protocol has ended; whatever still comes is nothing to it
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._host.requested(self, event)
            elif isinstance(event, Frame) and self.state is State.OPEN:
                self._frame(event)
            if self.state is State.GONE:
                return
        if self.state is State.REQUESTED and protocol.handshake_exc is not None:
            self._host.count("malformed")
            self.reply(_refusal(protocol.handshake_exc))
            return
        if self.state is State.OPEN or self.state is State.CLOSING:
            self._control()

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode in (Opcode.PING, Opcode.PONG, Opcode.CONT) or not frame.fin:
            self._frames_budget -= 1
            if self._frames_budget < 0:
                self._host.count("flood")
                self._fail(1008, "more control frames or fragments than a client may send")
                return
        if opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if self._protocol.writes and self._protocol.state is OPEN:
                self._control()  # pongs go before the answer to what came behind their pings
            self._data(frame)

    def _data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
            if not frame.fin:
                self._fragments = []
                self._decoder = codecs.getincrementaldecoder("utf-8")() if frame.opcode is Opcode.TEXT else None
        data = bytes(frame.data)
        try:
            if self._fragments is None:
                if self._opcode is Opcode.TEXT and not data.isascii():
                    data.decode()
            else:
                if self._decoder is not None:
                    self._decoder.decode(data, frame.fin)
                self._fragments.append(data)
                if not frame.fin:
                    return
                data = b"".join(self._fragments)
                self._fragments = None
                self._decoder = None
        except UnicodeDecodeError:
            self._fail(BAD_UTF8.code, BAD_UTF8.meaning)
            return
        if self.session is None:
            return
        try:
            self.session.receive(data, text=self._opcode is Opcode.TEXT)
        except CloseConnection as end:
            self._ended(end)

    def _ended(self, end: CloseConnection) -> None:
        self._host.count(f"closed-{end.code}")
        self.finish(end.code, end.reason)

    # Writing.

    def _open_outbox(self) -> Outbox:
        budget = self._host.budget
        outbox = self._outbox = Outbox(self._host.bounds, self._gap, budget=budget, end=self._sacrificed)
        budget.open(outbox)
        return outbox

    def _close_outbox(self) -> None:
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.close()
            self._host.budget.close(outbox)

    def _gap(self, ledger: Ledger) -> bytes:
        if ledger.reason == "slow-consumer":
            self.lost += ledger.count
            self._behind = True
        if self.session is None:
            return b""
        dialect: Dialect = self.session.dialect
        return dialect.event(gap_of(ledger))

    def _control(self) -> None:
        """Queue what the protocol has to say (pong, ping, close) in the control lane."""
        for data in self._protocol.data_to_send():
            if not data:
                self._leave_hub()
                self.state = State.CLOSING
                if self._closing_at is None and self._outbox is not None:
                    self._outbox.clear()  # nothing may follow the close frame, which went ahead
                self._close_by()
                continue
            outbox = self._outbox or self._open_outbox()
            try:
                outbox.control(data)
            except Overflow:
                self._host.count("slow-consumer")
                self.abort(SLOW_CONSUMER.meaning)
                return
        if self.queued:
            return
        if self._outbox is not None:
            self.queued = True
            self._pump()
        elif self.state is State.CLOSING:
            self._half_close()

    def _pump(self) -> None:
        outbox = self._outbox
        if outbox is None or self.state is State.GONE:
            return
        limit = self._limit
        for _ in range(PUMP):
            chunk = outbox.chunk(limit)
            if chunk is None:
                self._drained()
                return
            try:
                taken = self.send(chunk)  # type: ignore[arg-type]
            except _WOULD_BLOCK:
                break
            except OSError as error:
                self.abort(str(error))
                return
            outbox.took(taken)
            self._taken += taken
            if taken < len(chunk):
                break
        if outbox:
            self._want_write()
        else:
            self._drained()

    def _drained(self) -> None:
        self._stop_writing()
        self.queued = False
        self._close_outbox()
        if self.state is State.OPEN:
            if self._closing_at is None and self.session is not None:
                self.session.drained()
        elif self.state is State.CLOSING or self.state is State.ANSWERED:
            self._half_close()

    def _writable(self) -> None:
        if self.state is State.SHAKING:
            self._shake()
        else:
            self._pump()

    def _want_write(self) -> None:
        if not self._writing and self.state is not State.GONE:
            self._writing = True
            self._host.loop.add_writer(self._sock.fileno(), self._writable)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._host.loop.remove_writer(self._sock.fileno())

    # Ending.

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, 7.1.7): the close frame goes before whatever still waits, which is dropped."""
        self.failure = self.failure or reason
        if self.state is not State.OPEN or self._streaming:
            self.abort(reason)
            return
        self._leave_hub()
        if self._outbox is not None:
            self._outbox.clear()
        self._protocol.fail(code, _cut(reason))
        self._control()

    def _overflowed(self) -> None:
        """Past its bounds: what has not been offered is dropped at once, and one who reads a little learns the code."""
        self._host.count("slow-consumer")
        self._fail(SLOW_CONSUMER.code, SLOW_CONSUMER.meaning)

    def _sacrificed(self) -> None:
        """All clients together hold too much, and this one the most: the kernel's share goes with it."""
        self._host.count("memory")
        self.abort(SLOW_CONSUMER.meaning)

    def _leave_hub(self) -> None:
        if self.session is not None:
            self.session.end()

    def _finish_stream(self) -> None:
        """End a stream of plain HTTP behind what has been said: the end of the connection is the end of the answer."""
        if self.state is not State.OPEN:
            return
        self._leave_hub()
        self.state = State.ANSWERED
        self._close_by()
        if not self.queued:
            self._half_close()

    def _close_by(self, seconds: float = CLOSE_TIMEOUT) -> None:
        if self._closing_at is None:
            self._closing_at = self._host.clock() + seconds

    def _half_close(self) -> None:
        """All is said: tell the client, and wait for its end so that our last bytes are not thrown away by a reset."""
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                try:
                    self._sock.unwrap()
                except _WOULD_BLOCK:
                    pass  # close_notify is out; the client's own need not be waited for
            self._sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            self._gone()

    def _gone(self) -> None:
        if self.state is State.GONE:
            return
        self._leave_hub()
        self.state = State.GONE
        fd = self._sock.fileno()
        if fd >= 0:
            self._stop_writing()
            self._host.loop.remove_reader(fd)
        self._sock.close()
        self._close_outbox()
        self.queued = False
        self._host.forget(self)


def _cut(reason: str) -> str:
    """A close reason of at most 123 bytes (RFC 6455, 5.5)."""
    return reason.encode()[:123].decode(errors="ignore")


def _refusal(error: BaseException) -> Reply:
    text = str(error)
    cause = error.__cause__
    while cause is not None:
        text += f"; {cause}"
        cause = cause.__cause__
    if isinstance(error, RequestLineTooLong):
        return Reply.refusal(414, text)
    if isinstance(error, HeaderLineTooLong | TooManyHeaders):
        return Reply.refusal(431, text)
    return Reply.refusal(400, text)
