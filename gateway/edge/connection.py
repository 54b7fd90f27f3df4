"""One client's connection from its first byte to its last: what it is now, and how it ends.

What comes in is read by Incoming, what goes out passes Outgoing; both stand on one Transport.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, TypeVar

from websockets.http11 import Request
from websockets.protocol import OPEN

from gateway.edge.doors import Door
from gateway.edge.flood import Flood
from gateway.edge.http import Reply
from gateway.edge.incoming import Incoming
from gateway.edge.outgoing import Outgoing
from gateway.edge.proxy_protocol import Source
from gateway.edge.session import Session
from gateway.edge.states import State
from gateway.edge.tcpinfo import Traffic
from gateway.edge.transport import UNREACHABLE, Transport
from gateway.edge.volley import Volley
from gateway.edge.websocket import WebSocket, close_reason
from gateway.errors import INTERNAL_ERROR, NO_PONG, NOT_AUTHENTICATED, SLOW_CONSUMER, CloseConnection
from gateway.hub.batch import solo
from gateway.hub.budget import Budget
from gateway.hub.heartbeat import Beat, Heartbeat
from gateway.hub.outbox import Bounds, Overflow

T = TypeVar("T")

CLOSE_TIMEOUT = 5.0
REPLY_RATE = 64 * 1024.0  # bytes a second at which a plain answer has to be taken


class Host(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    bounds: Bounds
    budget: Budget
    flood: Flood
    volley: Volley
    clock: Callable[[], float]

    def requested(self, connection: "Connection", request: Request) -> None:
        """The client's request has arrived: answer it by `reply`, `stream` or `upgrade`."""

    def forget(self, connection: "Connection") -> None:
        """The connection is gone."""

    def gave_up(self, connection: "Connection", reason: str) -> None:
        """The client is ended because it does not keep up, or does not answer: count it by reason, and tell."""

    def count(self, reason: str) -> None:
        """One more connection was ended for `reason`."""

    def fault(self, connection: "Connection") -> None:
        """An exception that nobody expected is being handled: it costs this client its connection, and nobody else."""


class Connection:
    """`line` is where its session's bytes go out.

    `peer` is the client's address as text, `secure` whether it came over TLS, `born` monotonic seconds; `door` are its
    listener's rules, `names` those of our certificate; `source` is what a proxy said before everything else. At `due`
    (monotonic seconds) it has to be looked after by `tick`: 0 as soon as anything happens to it.
    """

    __slots__ = (
        "_closing_at",
        "_incoming",
        "_streaming",
        "_transport",
        "_websocket",
        "born",
        "door",
        "due",
        "failure",
        "heartbeat",
        "host",
        "key",
        "line",
        "names",
        "peer",
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
        self.host = host
        self.key = key
        self.peer = peer
        self.door = door
        self.names = names
        self.source = source
        self.session: Session | None = None
        self.state = State.REQUESTED
        self.born = heartbeat.heard_at
        self.heartbeat = heartbeat
        self.failure: str | None = None
        self.due = 0.0
        self._streaming = False
        self._closing_at: float | None = None
        self._transport = Transport(sock, self, host.loop, context, host.volley)
        self._websocket = WebSocket(message_size)
        self._incoming = Incoming(self, self._websocket, self.born)
        self.line = Outgoing(self._transport, self)

    @property
    def secure(self) -> bool:
        """Whether the client came over TLS."""
        return self._transport.secure

    @property
    def certificate(self) -> tuple[str, ...]:
        """The names of the client's certificate, none where it showed none."""
        return self._transport.certificate

    @property
    def lost(self) -> int:
        """Messages that were dropped or merged for this client because it was behind."""
        return self.line.lost

    @property
    def queue_size(self) -> int:
        """Bytes that wait in the outbox."""
        return self.line.size

    @property
    def traffic(self) -> Traffic | None:
        """What the kernel counted; None for a Unix socket."""
        return self._transport.traffic

    # What the server calls.

    def reply(self, reply: Reply, *, head: bool = False) -> None:
        """Answer by plain HTTP and close."""
        if self.state is not State.REQUESTED and self.state is not State.ANSWERING:
            return
        self.state = State.OPEN
        self.line.push(solo(reply.encode(head=head)))
        if self.state is State.OPEN:
            self.state = State.ANSWERED
            self._close_by(CLOSE_TIMEOUT + len(reply.body) / REPLY_RATE)
            if not self.line.queued:
                self._half_close()

    def stream(self, head: bytes) -> bool:
        """Answer by plain HTTP that goes on: what the session says follows the head as it is."""
        if self.state is not State.REQUESTED:
            return False
        self.state = State.OPEN
        self._streaming = True
        self.line.push(solo(head))
        return self.state is State.OPEN

    def upgrade(self, request: Request, headers: list[tuple[str, str]]) -> bool:
        """Accept the WebSocket handshake; False where the request is no good one and was refused."""
        answer = self._websocket.shake_hands(request, headers)
        if isinstance(answer, Reply):
            self.reply(answer)
            return False
        self.state = State.OPEN
        self.line.push(solo(answer))
        return self.state is State.OPEN

    def converse(self, do: Callable[[Session], T]) -> T | None:
        """Let `do` speak with the session, if there is one; a fault of ours in it costs this client alone."""
        if self.session is None:
            return None
        try:
            return do(self.session)
        except CloseConnection as end:
            self.over(end)
        except Exception:  # the others are to be told, served and looked after all the same
            self._broken()
        return None

    def adopt(self, bounds: Bounds, *, interval: float, timeout: float) -> None:
        """Go by these bounds, and this heartbeat, from now on."""
        self.heartbeat.interval, self.heartbeat.timeout = interval, timeout
        self.due = 0.0
        self.line.adopt(bounds)

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        if self._streaming:
            return
        self._websocket.send_ping(b"")
        self.control()

    def tick(self, now: float, handshake: float) -> None:
        """Called once it is due, at whole seconds: deadlines, heartbeat, patience."""
        self.due = float("inf")
        try:
            self.due = min(self.due, self._look(now, handshake))
        except Exception:  # the others are looked after all the same
            self._broken()

    def _look(self, now: float, handshake: float) -> float:
        """See to what is due; when it is next. To look at a thousand who are at rest is 6 ms."""
        if self._closing_at is not None:
            if now >= self._closing_at:
                self.abort("did not close in time")
            return now
        if self.state is State.REQUESTED:
            if now - self.born > handshake:
                self.host.count("handshake-timeout")
                self.ended("no request in time")
            return now
        if self.state is not State.OPEN:
            return now
        if self.line.overdue(now):
            self.overflowed()
            return now
        # Nothing comes back over a stream of plain HTTP: whether the client lives is for TCP to find out.
        beat = Beat.NOTHING if self._streaming else self.heartbeat.beat(now)
        if beat is Beat.PING:
            self.ping()
        elif beat is Beat.DEAD:
            self.host.gave_up(self, "no-pong")
            self.fail(NO_PONG.code, NO_PONG.meaning)
            return now
        due = self.converse(lambda session: session.beat(now))
        if due is None or self.line.open:
            return now
        return due if self._streaming else min(due, self.heartbeat.due)

    def finish(self, code: int, reason: str) -> None:
        """Close politely once everything before has gone; whoever may not read any more gets nothing that waits."""
        if self.state is not State.OPEN or (self._websocket.state is not OPEN and not self._streaming):
            return
        if self.session is not None:
            if code == NOT_AUTHENTICATED.code:
                self.line.clear()
            self.session.farewell(code, reason)
        self._leave_hub()
        if self._streaming:
            self._finish_stream()
            return
        self._websocket.send_close(code, close_reason(reason))
        for frame in self._websocket.data_to_send():
            if frame:
                self.line.push(solo(frame))
        self._close_by()

    def abort(self, reason: str) -> None:
        """End at once; what the kernel still holds for the client is thrown away."""
        if self.state is State.GONE:
            return
        self.failure = self.failure or reason
        self._transport.throw_away()
        self._gone()

    # What the transport tells.

    def received(self, data: bytes) -> None:
        self.due = 0.0
        try:
            self._incoming.take(data)
        except Exception:  # one client's words must not be able to harm another
            self._broken()

    def writable(self) -> None:
        try:
            if self.line.queued:
                self.line.pump()
            else:
                self._half_close()  # it was the end of TLS that the socket did not take
        except Exception:  # the loop would only log it, and call again for ever
            self._broken()

    def ended(self, failure: str | None) -> None:
        if failure is not None:
            self.failure = failure
        self._gone()

    def handshake_failed(self, failure: str) -> None:
        self.host.count("tls-handshake")
        self.ended(failure)

    def placed(self) -> None:
        # At its birth nobody can know its place yet.
        if self.state is not State.REQUESTED:
            self.line.restand()

    # What is read, and what becomes of what is written.

    @property
    def deaf(self) -> bool:
        """Whether nothing that the client still sends matters."""
        if self._streaming or self.state is State.ANSWERED or self.state is State.ANSWERING:
            return True
        return self.state is State.CLOSING and self._websocket.eof_sent

    def heard(self, now: float) -> None:
        self.heartbeat.heard(now)

    def requested(self, request: Request) -> None:
        self.host.requested(self, request)

    def over(self, end: CloseConnection) -> None:
        """The conversation has come to its end."""
        self.host.count(f"closed-{end.code}")
        self.finish(end.code, end.reason)

    def control(self) -> None:
        """Queue what the protocol has to say (pong, ping, close) in the control lane."""
        for data in self._websocket.data_to_send():
            if not data:
                self._leave_hub()
                self.state = State.CLOSING
                if self._closing_at is None:
                    self.line.clear()  # nothing may follow the close frame, which went ahead
                self._close_by()
                continue
            try:
                self.line.control(data)
            except Overflow:
                self.host.gave_up(self, "slow-consumer")
                self.abort(SLOW_CONSUMER.meaning)
                return
        if not self.line.kick() and self.state is State.CLOSING:
            self._half_close()

    def drained(self) -> None:
        if self.state is State.OPEN:
            if self._closing_at is None and self.session is not None:
                self.session.drained()
        elif self.state is State.CLOSING or self.state is State.ANSWERED:
            self._half_close()

    # Ending.

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, 7.1.7): the close frame goes before whatever still waits, which is dropped."""
        self.failure = self.failure or reason
        if self.state is not State.OPEN or self._streaming:
            self.abort(reason)
            return
        self._leave_hub()
        self.line.clear()
        self._websocket.fail(code, close_reason(reason))
        self.control()

    def _broken(self) -> None:
        """Something of ours went wrong on the way."""
        self.host.fault(self)
        self.fail(INTERNAL_ERROR.code, INTERNAL_ERROR.meaning)

    def overflowed(self) -> None:
        """Past its bounds: what has not been offered is dropped at once, and one who reads a little learns the code."""
        self.host.gave_up(self, "slow-consumer")
        self.fail(SLOW_CONSUMER.code, SLOW_CONSUMER.meaning)

    def sacrificed(self) -> None:
        """All clients together hold too much, and this one the most: the kernel's share goes with it."""
        self.host.gave_up(self, "memory")
        self.abort(SLOW_CONSUMER.meaning)

    def _leave_hub(self) -> None:
        if self.session is not None:
            try:
                self.session.end()
            except Exception:  # the connection ends all the same, or it would stay for ever
                self.host.fault(self)

    def _finish_stream(self) -> None:
        """End a stream of plain HTTP behind what has been said: the end of the connection is the end of the answer."""
        if self.state is not State.OPEN:
            return
        self.state = State.ANSWERED
        self._close_by()
        if not self.line.queued:
            self._half_close()

    def _close_by(self, seconds: float = CLOSE_TIMEOUT) -> None:
        if self._closing_at is None:
            self._closing_at = self.host.clock() + seconds
            self.due = 0.0

    def _half_close(self) -> None:
        """All is said: tell the client, and wait for its end so that our last bytes are not thrown away by a reset."""
        if not self._transport.half_close():
            self._gone()

    def _gone(self) -> None:
        if self.state is State.GONE:
            return
        self._leave_hub()
        if self.failure == UNREACHABLE and self.session is not None:
            self.host.gave_up(self, "unreachable")
        self.state = State.GONE
        self.line.end()
        self._transport.close()
        self.host.forget(self)
