"""Who the live sessions are: signing in under way, and what becomes of them when tokens and roles change."""

from collections.abc import Callable, Mapping

from gateway.edge.admission import Admission
from gateway.edge.audit import audit
from gateway.edge.connection import Connection
from gateway.edge.credentials import Identity, Refusal
from gateway.edge.front import Front
from gateway.edge.room import Visitor
from gateway.edge.states import State
from gateway.errors import NOT_AUTHENTICATED


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
            audit("sign-in", "refused", **facts, reason=verdict.reason)
            return verdict
        self._admission.book(session.identity, verdict)
        audit("sign-in", "ok", **facts, user=verdict.user, role=verdict.role.name, method=verdict.method)
        return verdict

    def began(self, connection: Connection) -> None:
        """A session has begun."""
        identity = connection.session.identity if connection.session is not None else None
        self._admission.book(None, identity)
        if identity is not None and identity.user:
            audit("sign-in", "ok", **_who(connection))

    def ended(self, connection: Connection) -> None:
        """A connection is gone, and its session with it."""
        identity = connection.session.identity if connection.session is not None else None
        if identity is not None and identity.user:
            self._admission.book(identity, None)
            audit("sign-out", "ok", reason=connection.failure, **_who(connection))

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
                audit("role", "changed", to=verdict.role.name, **_who(connection))
                session.become(verdict)


def _who(connection: Connection) -> dict[str, str]:
    session = connection.session
    if session is None or session.identity is None:
        return {"address": connection.peer}
    identity = session.identity
    return {
        "address": connection.peer,
        "session": session.id,
        "user": identity.user,
        "role": identity.role.name,
        "method": identity.method,
    }
