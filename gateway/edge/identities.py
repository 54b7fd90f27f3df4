"""Who the live sessions are: signing in under way, and what becomes of them when tokens and roles change."""

import logging
from collections.abc import Callable, Mapping

from gateway.edge.admission import Admission
from gateway.edge.audit import audit
from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity, Refusal
from gateway.edge.front import Front
from gateway.edge.room import Visitor
from gateway.edge.states import State
from gateway.errors import NOT_AUTHENTICATED

log = logging.getLogger("gateway.edge")

_GIVEN_UP = {
    "slow-consumer": (logging.WARNING, "a viewer is ended: it was too far behind for too long"),
    "memory": (logging.WARNING, "a viewer is ended: what waits for all together was too much, and its part the most"),
    "unreachable": (logging.INFO, "a viewer is gone: neither it nor its network has taken anything for too long"),
    "no-pong": (logging.INFO, "a viewer is ended: no answer to a ping in time"),
}


class Identities:
    """`count` counts refusals by reason."""

    def __init__(self, front: Front, admission: Admission, count: Callable[[str], None]) -> None:
        self._front = front
        self._admission = admission
        self._count = count

    def sign_in(self, session: Visitor, token: str) -> Identity | Refusal:
        """Judge the token of an `auth` command, and count the session for whom it names."""
        verdict = self._front.credentials.bearer(token, session.address)
        facts = {"address": session.address, "session": session.id}
        first = isinstance(verdict, Identity) and session.identity is None
        if isinstance(verdict, Identity) and first and self._admission.crowded(verdict):
            self._count("connections-per-user")
            verdict = Refusal(self._admission.too_many_of_one)
        if isinstance(verdict, Refusal):
            self._count("bad-token")
            self._front.credentials.audit_refusal(verdict, **facts)
            return verdict
        self._admission.book(session.identity, verdict)
        audit("sign-in", "ok", **facts, user=verdict.user, role=verdict.role.name, method=verdict.method)
        return verdict

    def began(self, connection: Connection) -> None:
        """A session has begun."""
        _trace(connection, "a session begins")
        identity = connection.session.identity if connection.session is not None else None
        self._admission.book(None, identity)
        if identity is not None and identity.user:
            audit("sign-in", "ok", **_who(connection))

    def ended(self, connection: Connection) -> None:
        """A connection is gone, and its session with it."""
        _trace(connection, "a session is over")
        identity = connection.session.identity if connection.session is not None else None
        if identity is not None and identity.user:
            self._admission.book(identity, None)
            audit("sign-out", "ok", reason=connection.failure, **_who(connection))

    def gave_up(self, connection: Connection, reason: str) -> None:
        """A client is ended for `reason`, a key of `_GIVEN_UP`."""
        level, said = _GIVEN_UP[reason]
        facts = {**_who(connection), "reason": reason, "waiting": connection.queue_size, "lost": connection.lost}
        log.log(level, said, extra={"fields": facts})

    def review(self, connections: Mapping[int, Connection]) -> None:
        """Look at every live session again: its token may be revoked, its role another one."""
        for connection in list(connections.values()):
            session = connection.session
            if session is None or session.identity is None or connection.state is not State.OPEN:
                continue
            verdict = self._front.still(session.identity, connection.door)
            if isinstance(verdict, Refusal):
                audit("session", "ended", reason=verdict.reason, **_who(connection))
                self._count(f"closed-{NOT_AUTHENTICATED.code}")
                connection.finish(NOT_AUTHENTICATED.code, verdict.reason)
            elif verdict != session.identity:
                _renew(connection, verdict)


def _renew(connection: Connection, identity: Identity) -> None:
    audit("role", "changed", to=identity.role.name, **_who(connection))
    connection.converse(lambda session: session.become(identity))


def _trace(connection: Connection, said: str) -> None:
    """For level "debug": all sessions, those of nobody in particular as well."""
    if connection.session is not None and log.isEnabledFor(logging.DEBUG):
        facts = {**_who(connection), "dialect": connection.session.dialect.name, "reason": connection.failure}
        log.debug(said, extra={"fields": facts})


def _who(connection: Connection) -> dict[str, str]:
    session = connection.session
    if session is None:
        return {"address": connection.peer}
    if session.identity is None:
        return {"address": connection.peer, "session": session.id}
    identity = session.identity
    return {
        "address": connection.peer,
        "session": session.id,
        "user": identity.user,
        "role": identity.role.name,
        "method": identity.method,
    }
