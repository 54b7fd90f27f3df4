"""What becomes of a request that the front door has judged: an answer, a stream, or a session that begins."""

import ipaddress
import secrets
from collections.abc import Callable, Mapping

from websockets.http11 import Request

from gateway.edge.admission import UNIX, Admission
from gateway.edge.answer import Answer, answer_later
from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.drain import Drain
from gateway.edge.front import Front
from gateway.edge.http import Reply, event_stream_head
from gateway.edge.identities import Identities
from gateway.edge.room import Room
from gateway.edge.session import Session
from gateway.edge.visits import Events, Later, Peer, Pending, Upgrade
from gateway.errors import FULL, STOPPING

_REASONS = {400: "malformed", 401: "not-authenticated", 403: "origin", 421: "host", 429: "request-rate"}


class Reception:
    """`sse` is how Server-Sent Events are written from now on; `count` counts refusals by reason."""

    def __init__(
        self,
        *,
        front: Front,
        room: Room,
        admission: Admission,
        identities: Identities,
        drain: Drain,
        connections: Mapping[int, Connection],
        count: Callable[[str], None],
        sse: Dialect,
    ) -> None:
        self.sse = sse
        self._front = front
        self._room = room
        self._admission = admission
        self._identities = identities
        self._drain = drain
        self._connections = connections
        self._count = count

    def requested(self, connection: Connection, request: Request) -> None:
        """Its request is there."""
        source, door = connection.source, connection.door
        peer = Peer(
            address=connection.peer,
            loopback=_is_loopback(connection.peer) and source is None,
            secure=connection.secure or (source is not None and source.secure),
            door=door,
            certificate=connection.certificate,
            names=connection.names,
        )
        verdict, head = self._front.judge(request, peer), request.method == "HEAD"
        if isinstance(verdict, Reply):
            if verdict.status >= 400:
                self._count(_REASONS.get(verdict.status, f"http-{verdict.status}"))
            connection.reply(verdict, head=head)
            return
        if isinstance(verdict, Pending):
            self._room.desk.add(Answer(verdict, connection, head=head))
            return
        if isinstance(verdict, Later):
            answer_later(verdict, connection, head=head)
            return
        if verdict.address != connection.peer:
            self._admission.move(connection.peer, verdict.address)
            connection.peer = verdict.address
        if isinstance(verdict, Events):
            self._begin_events(connection, verdict)
            return
        headers = [("Sec-WebSocket-Protocol", verdict.subprotocol)] if verdict.subprotocol else []
        if connection.upgrade(request, headers):
            self._welcome(connection, verdict)

    def _begin_events(self, connection: Connection, verdict: Events) -> None:
        full = self._admission.no_room(connection.peer, verdict.identity, len(self._connections))
        if full is None and self._drain.under_way:
            full = "draining", STOPPING.meaning
        if full is not None:
            self._count(full[0])
            connection.reply(Reply.refusal(503, full[1], [("Retry-After", "30"), *verdict.headers]))
        elif connection.stream(event_stream_head(verdict.headers)):
            self._begin(connection, self.sse, verdict.identity, bare=not verdict.status)
            connection.converse(lambda session: session.start(verdict.subscribe))

    def _welcome(self, connection: Connection, verdict: Upgrade) -> None:
        if verdict.close is not None:
            self._count(f"closed-{verdict.close.code}")
            connection.finish(verdict.close.code, verdict.close.reason)
            return
        full = self._admission.no_room(connection.peer, verdict.identity, len(self._connections))
        if full is not None:
            self._count(full[0])
            connection.finish(FULL.code, full[1])
            return
        bare = verdict.subscribe is not None and not verdict.status
        self._begin(connection, verdict.dialect, verdict.identity, bare=bare)
        connection.converse(lambda session: session.start(verdict.subscribe))
        if self._drain.under_way:
            self._drain.goodbye(connection)

    def _begin(self, connection: Connection, dialect: Dialect, identity: Identity | None, *, bare: bool) -> None:
        connection.session = Session(
            id=secrets.token_hex(8),
            wire=connection.line,
            dialect=dialect,
            room=self._room,
            role=identity.role if identity is not None else None,
            identity=identity,
            address=connection.peer,
            bare=bare,
        )
        self._identities.began(connection)


def _is_loopback(peer: str) -> bool:
    if peer == UNIX:
        return True
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
