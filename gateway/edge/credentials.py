"""Who somebody is: what a request carries, judged; an identity with its role, or the sentence that refuses it.

First found wins: Authorization, client certificate, the headers of a declared proxy, the subprotocol `bearer.`; a
WebSocket client may also send `auth`. A credential that is there and bad is refused, never taken as absent, and never
repeated in a message.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from websockets.datastructures import Headers

from gateway.edge.audit import Seldom, audit
from gateway.edge.failures import Failures
from gateway.edge.jwts import Jwts
from gateway.edge.roles import Role, for_user, narrowed
from gateway.edge.tokens import Tokens, is_token

SUBPROTOCOL = "bearer."
MAX_CREDENTIAL = 8 * 1024
WAIT_AGAIN = 60.0  # seconds before the audit tells again that an address tries on while it has to wait
ANONYMOUS, TOKEN, JWT, CERTIFICATE, PROXY = "anonymous", "token", "jwt", "certificate", "proxy"


class Identity(msgspec.Struct, frozen=True):
    """Somebody who may come in.

    `user` is empty for the anonymous; `credential` is what may be written down of the proof: a token's id, a role's
    name; `expires` in Unix seconds; `topics` are the filters that the credential itself narrows the role to.
    """

    role: Role
    user: str = ""
    method: str = ANONYMOUS
    credential: str = ""
    expires: float | None = None
    topics: tuple[str, ...] | None = None

    def over(self, now: float) -> bool:
        """Whether the credential has expired; `now` in Unix seconds."""
        return self.expires is not None and now >= self.expires


class Refusal(NamedTuple):
    """Why a credential is refused; `retry_after` (s) where it was not even looked at."""

    reason: str
    retry_after: float | None = None


class Credentials(NamedTuple):
    """What a request carries: a bearer token by header or by subprotocol, and the subprotocols that are left."""

    header: str | None
    subprotocol: str | None
    offered: tuple[str, ...]


def carried(headers: Headers) -> Credentials:
    """The credentials in a request's headers. Raises ValueError where one is there and cannot be read."""
    header = None
    for value in headers.get_all("Authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            header = token.strip()
            if not header or " " in header or len(header) > MAX_CREDENTIAL:
                raise ValueError("the Authorization header is not Bearer and one token")
    offered = [token.strip() for value in headers.get_all("Sec-WebSocket-Protocol") for token in value.split(",")]
    bearers = [token for token in offered if token.startswith(SUBPROTOCOL)]
    if len(bearers) > 1:
        raise ValueError("more than one bearer. subprotocol")
    subprotocol = _decoded(bearers[0].removeprefix(SUBPROTOCOL)) if bearers else None
    rest = tuple(token for token in offered if not token.startswith(SUBPROTOCOL))
    if bearers and not rest:
        raise ValueError("bearer. stands beside a real subprotocol, never alone: it is not echoed")
    return Credentials(header, subprotocol, rest)


def _decoded(text: str) -> str:
    if len(text) > 2 * MAX_CREDENTIAL:
        raise ValueError("the bearer. subprotocol is too long")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise ValueError("the bearer. subprotocol is base64url of a token") from None


class Judge:
    """Judges credentials. `clock` is monotonic seconds, `wall` Unix seconds.

    `by_proxy` names the headers of a declared proxy that hold the user and the role.
    """

    def __init__(
        self,
        *,
        roles: Mapping[str, Role],
        methods: Sequence[str] = (),
        tokens: Tokens | None = None,
        jwts: Jwts | None = None,
        by_proxy: tuple[str, str] = ("Remote-User", "Remote-Groups"),
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.roles = roles
        self.methods = tuple(methods)
        self.tokens = tokens if TOKEN in methods else None
        self.jwts = jwts if JWT in methods else None
        self._proxy_headers = by_proxy
        self.clock = clock
        self.wall = wall
        self.failures = Failures()
        self._waits = Seldom()

    def audit_refusal(self, refusal: Refusal, **facts: str) -> None:
        """Write the audit's line; of those that were not even looked at one a minute and address, with how many."""
        times = 1
        if refusal.retry_after is not None:
            times = self._waits.due((facts["address"],), self.clock(), WAIT_AGAIN)
        if times:
            audit("sign-in", "refused", **facts, reason=refusal.reason, times=times if times > 1 else None)

    @property
    def by_message(self) -> tuple[str, ...]:
        """The methods whose credential fits into an `auth` message."""
        return tuple(m for m, on in ((TOKEN, self.tokens is not None), (JWT, self.jwts is not None)) if on)

    def bearer(self, text: str, address: str) -> Identity | Refusal:
        """Judge a token of ours, or a JWT, from `address`."""
        now = self.clock()
        wait = self.failures.blocked_for(address, now)
        if wait > 0:
            return Refusal("too many failed sign-ins from your address: wait a minute", wait)
        verdict = self._bearer(text)
        if isinstance(verdict, Refusal):
            self.failures.failed(address, now)
        return verdict

    def _bearer(self, text: str) -> Identity | Refusal:
        if self.tokens is not None and (is_token(text) or self.jwts is None):
            token = self.tokens.verify(text, self.wall())
            if isinstance(token, str):
                return Refusal(token)
            return self._as(token.role, user=token.name, method=TOKEN, credential=token.id, expires=token.expires)
        if self.jwts is not None:
            claims = self.jwts.verify(text)
            if isinstance(claims, str):
                return Refusal(claims)
            name = next((name for name in claims.roles if name in self.roles), claims.roles[0])
            return self._as(
                name, user=claims.user, method=JWT, credential=name, expires=claims.expires, topics=claims.topics
            )
        return Refusal("this gateway takes no tokens")

    def certificate(self, names: Sequence[str]) -> Identity | Refusal | None:
        """Judge a client certificate by its names (CN first); None where the method is off or none was shown."""
        if CERTIFICATE not in self.methods or not names:
            return None
        for role in self.roles.values():
            for name in names:
                if name in role.certificates:
                    return self._as(role.name, user=name, method=CERTIFICATE, credential=name)
        return Refusal("your certificate names nobody that a role knows")

    def proxy(self, headers: Headers) -> Identity | Refusal | None:
        """Judge what a declared proxy says; None where the method is off or it says nothing."""
        if PROXY not in self.methods:
            return None
        users, groups = (headers.get_all(name) for name in self._proxy_headers)
        if not users:
            return None
        if len(users) > 1 or not users[0].strip():
            return Refusal("the proxy names no user")
        wanted = [name.strip() for value in groups for name in value.split(",") if name.strip()]
        name = next((name for name in wanted if name in self.roles), None)
        if name is None:
            return Refusal("the proxy names no role that is known here")
        return self._as(name, user=users[0].strip(), method=PROXY, credential=name)

    def still(self, identity: Identity) -> Identity | Refusal:
        """The identity as it is now, after tokens or roles have changed."""
        if identity.over(self.wall()):
            return Refusal("your credential has expired")
        role = identity.role.name
        if identity.method == TOKEN:
            token = self.tokens.find(identity.credential) if self.tokens is not None else None
            if token is None:
                return Refusal("your token was revoked")
            if token.expires is not None and self.wall() >= token.expires:
                return Refusal("your token has expired")
            return self._as(token.role, user=token.name, method=TOKEN, credential=token.id, expires=token.expires)
        if identity.method != ANONYMOUS and identity.method not in self.methods:
            return Refusal("your way to sign in was turned off")
        if identity.method == CERTIFICATE:
            known = self.roles.get(role)
            if known is None or identity.credential not in known.certificates:
                return Refusal("your certificate names nobody that a role knows")
        return self._as(
            role,
            user=identity.user,
            method=identity.method,
            credential=identity.credential,
            expires=identity.expires,
            topics=identity.topics,
        )

    def _as(
        self,
        name: str,
        *,
        user: str,
        method: str,
        credential: str,
        expires: float | None = None,
        topics: tuple[str, ...] | None = None,
    ) -> Identity | Refusal:
        role = self.roles.get(name)
        if role is None:
            return Refusal("your role is not known here any more")
        try:
            role = for_user(role, user)
        except ValueError as error:
            return Refusal(str(error))
        if topics is not None:
            role = narrowed(role, topics)
        return Identity(role, user, method, credential, expires, topics)
