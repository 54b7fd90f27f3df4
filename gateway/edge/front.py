"""The front door: what becomes of a request. Pure; the server carries the verdict out.

After the Origin check a WebSocket request is never refused by a status: page scripts would see only 1006. It is
accepted and closed with a code and a reason.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from websockets.http11 import Request

from gateway.edge.commands import Subscribe
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.http import Reply, fault_of, parse_target, subscription_in
from gateway.edge.origin import Rule, check_origin
from gateway.edge.roles import Role
from gateway.edge.static import Asset
from gateway.errors import NOT_AUTHENTICATED, CloseConnection
from gateway.hub.ports import CONNECTED, UpstreamStatus

STREAM_PATHS = frozenset({"/", "/stream", "/ws", "/mqtt", "/stomp"})
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class Peer(NamedTuple):
    """Who sent the request: the address as text, whether it came over a loopback or Unix socket, and over TLS."""

    address: str
    loopback: bool
    secure: bool


class Upgrade(NamedTuple):
    """The request becomes a stream. `close` ends it again right after the handshake, with a code that scripts see."""

    dialect: Dialect
    subprotocol: str | None
    role: Role | None
    subscribe: Subscribe | None
    status: bool
    close: CloseConnection | None = None


class Access(msgspec.Struct, frozen=True):
    """Who may come in: origins, and the role of whoever brings no credential ("local", a role's name, or "")."""

    rules: list[Rule]
    missing: str
    anonymous: str
    roles: Mapping[str, Role]


class Front:
    """Judges requests. `dialects` makes the dialect of a subprotocol token; the empty token is the native one."""

    def __init__(
        self,
        *,
        access: Access,
        assets: Mapping[str, Asset],
        dialects: Mapping[str, Callable[[], Dialect]],
        upstreams: UpstreamStatus,
    ) -> None:
        self.access = access
        self.draining = False
        self._assets = assets
        self._dialects = dialects
        self._upstreams = upstreams

    def judge(self, request: Request, peer: Peer) -> Reply | Upgrade:
        """What the request gets."""
        fault = fault_of(request)
        if fault is not None:
            return Reply.refusal(400, fault)
        try:
            target = parse_target(request.path)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        upgrading = "Upgrade" in request.headers and request.headers["Upgrade"].lower() == "websocket"
        if upgrading and target.path in STREAM_PATHS:
            return self._stream(request, peer)
        if request.method not in ("GET", "HEAD"):
            return Reply.refusal(405, f"{request.method} is not allowed here", [("Allow", "GET, HEAD")])
        if target.path == "/stream":
            return Reply.refusal(426, "this is a WebSocket stream", [("Upgrade", "websocket")])
        return self._page(target.path, request)

    def _stream(self, request: Request, peer: Peer) -> Reply | Upgrade:
        headers = request.headers
        verdict = check_origin(
            headers.get_all("Origin"), host=headers["Host"], rules=self.access.rules, missing=self.access.missing
        )
        if not verdict.allowed:
            return Reply.refusal(403, verdict.reason)
        offered = [token.strip() for value in headers.get_all("Sec-WebSocket-Protocol") for token in value.split(",")]
        chosen = next((token for token in offered if token in self._dialects), None)
        if offered and chosen is None:
            known = ", ".join(name for name in self._dialects if name)
            return Reply.refusal(400, f"none of the subprotocols offered is spoken here: {known} are")
        try:
            target = parse_target(request.path)
            subscribe = subscription_in(target)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        role = self._anonymous(request, peer)
        dialect = self._dialects[chosen or ""]()
        close = None
        if role is None:
            close = CloseConnection(NOT_AUTHENTICATED.code, "this gateway lets nobody in without a credential")
        return Upgrade(dialect, chosen, role, subscribe, target.one("status") == "1", close)

    def _anonymous(self, request: Request, peer: Peer) -> Role | None:
        anonymous = self.access.anonymous
        if anonymous == "local":
            host = request.headers["Host"].rsplit(":", 1)[0] if "]" not in request.headers["Host"] else "[::1]"
            forwarded = any(name in request.headers for name in _FORWARDED)
            if not peer.loopback or forwarded or host.lower() not in _LOOPBACK_HOSTS:
                return None
            anonymous = "viewer"
        return self.access.roles.get(anonymous)

    def _page(self, path: str, request: Request) -> Reply:
        if path == "/healthz":
            if self.draining:
                return Reply(503, b"draining\n", headers=(("Cache-Control", "no-store"),))
            return Reply(200, b"ok\n", headers=(("Cache-Control", "no-store"),))
        if path == "/readyz":
            states = self._upstreams.states()
            text = "".join(f"{state.name}: {state.state}\n" for state in states).encode()
            ready = not self.draining and any(state.state == CONNECTED for state in states)
            return Reply(200 if ready else 503, text, headers=(("Cache-Control", "no-store"),))
        asset = self._assets.get(path)
        if asset is None:
            return Reply.refusal(404, "there is nothing here; the dashboard is at /, the stream at /stream")
        headers = request.headers
        status, body, extra = asset.answer(
            ",".join(headers.get_all("If-None-Match")), ",".join(headers.get_all("Accept-Encoding"))
        )
        return Reply(status, body, asset.content_type, extra)
