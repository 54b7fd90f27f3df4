"""The front door: what becomes of a request. Pure; the server carries the verdict out.

In this order: is it well-formed, who stands behind it, may its page ask (Origin), is it us that it asks (Host), who is
it. After the Origin and Host checks a WebSocket request is never refused by a status: page scripts would see only 1006.
It is accepted and closed with a code and a reason.
"""

import logging
from collections.abc import Callable, Mapping

from websockets.http11 import Request

from gateway.edge.audit import Seldom, audit
from gateway.edge.credentials import Identity, Judge, Refusal, carried
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.registry import KINDS, PLAIN_REFUSALS
from gateway.edge.doors import Door
from gateway.edge.forwarded import caller_of
from gateway.edge.http import Reply, fault_of, parse_target, resumed, subscription_in
from gateway.edge.origin import Verdict, check_origin
from gateway.edge.rate import Rate
from gateway.edge.rejections import LINES, Rejections
from gateway.edge.roles import Role, grant
from gateway.edge.static import Asset
from gateway.edge.visits import Access, Events, Peer, Pending, Resource, Upgrade, Visit
from gateway.edge.whoasks import misdirected, who_asks, who_still
from gateway.errors import NOT_AUTHENTICATED, CloseConnection
from gateway.hub.ports import CONNECTED, UpstreamStatus
from gateway.topics import shorten

log = logging.getLogger("gateway.edge")

STREAM_PATHS = frozenset({"/", "/stream", "/ws", "/mqtt", "/stomp"})
EVENTS_PATH = "/events"
METRICS_PATH = "/metrics"
_METHODS = "GET, HEAD, OPTIONS"
_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="sensor-gateway"')
REQUESTS = 10.0  # for data, a second and address: an answer may cost a walk over every topic
READ_AGAIN = 3600.0  # seconds before the audit tells again of who reads the same
REFUSED_AGAIN = 60.0  # and of who is refused it
_NOT_STORED = ("Cache-Control", "no-store")


class Front:
    """Judges requests. `dialects` makes the dialect of a subprotocol token ("" where none is offered) or of a path.

    `resources` are the paths that answer with data; others put theirs in. `readiness`, where the log is shared, says
    why this gateway does not show what it holds, "" while it does. All may be changed under way.
    """

    def __init__(
        self,
        *,
        access: Access,
        judge: Judge,
        assets: Mapping[str, Asset],
        dialects: Mapping[str, Callable[[], Dialect]],
        upstreams: UpstreamStatus,
    ) -> None:
        self.access = access
        self.credentials = judge
        self.rejections = Rejections()
        self._reads = Seldom()
        self.resources: dict[str, Resource] = {}
        self.requests = Rate(REQUESTS)
        self.draining = False
        self.readiness: Callable[[], str] | None = None
        self._assets = assets
        self._dialects = dialects
        self._upstreams = upstreams

    def speak(self, dialects: Mapping[str, Callable[[], Dialect]]) -> None:
        """Speak these dialects with whoever comes from now on; who is here keeps the one it has."""
        self._dialects = dialects

    def judge(self, request: Request, peer: Peer) -> Reply | Pending | Upgrade | Events:
        """What the request gets."""
        fault = fault_of(request)
        if fault is not None:
            return Reply.refusal(400, fault)
        try:
            target = parse_target(request.path)
            caller = caller_of(request.headers, peer=peer.address, secure=peer.secure, proxies=peer.door.proxies)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        visit = Visit(request, target, peer, caller)
        if "Upgrade" in request.headers and request.headers["Upgrade"].lower() == "websocket":
            if target.path in STREAM_PATHS or target.path in self._dialects:
                return self._stream(visit)
            return Reply.refusal(404, "there is no stream here: it is at /stream")
        if request.method == "OPTIONS":
            return self._preflight(visit)
        if request.method not in ("GET", "HEAD"):
            return Reply.refusal(405, f"{shorten(request.method, 20)} is not allowed here", [("Allow", _METHODS)])
        if target.path == "/stream":
            return Reply.refusal(426, "this is a WebSocket stream", [("Upgrade", "websocket")])
        if target.path in PLAIN_REFUSALS:
            verdict = self._origin(visit, "allow")
            if not verdict.allowed:
                return self._rejected(visit, verdict)
            return Reply.refusal(400, PLAIN_REFUSALS[target.path], self._cors(visit))
        if target.path in self.resources or target.path == EVENTS_PATH:
            return self._data(visit)
        return self._page(target.path, request)

    def still(self, identity: Identity, door: Door) -> Identity | Refusal:
        """Who somebody is by the rules as they are now."""
        return who_still(identity, door, self.credentials, self.access)

    # Streams.

    def _stream(self, visit: Visit) -> Reply | Upgrade:
        verdict = self._origin(visit, self.access.missing)
        if not verdict.allowed:
            return self._rejected(visit, verdict)
        try:
            credentials = carried(visit.request.headers)
            subscribe = subscription_in(visit.target)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        known = [token for token in self._dialects if visit.peer.door.speaks(KINDS.get(token, "native"))]
        offered = credentials.offered
        # Some dialects have a path of their own instead of a subprotocol.
        path = visit.target.path if visit.target.path in self._dialects else None
        chosen = next((token for token in offered if token in known), None) if path is None else None
        spoken = path or chosen or ""
        if spoken not in known or (offered and path is None and chosen is None):
            listed = ", ".join(token for token in known if token and not token.startswith("/"))
            return Reply.refusal(400, f"none of the subprotocols offered is spoken here: {listed} are")
        who = who_asks(visit, credentials, self.credentials, self.access)
        if isinstance(who, Reply):
            return who
        close = None
        if isinstance(who, Refusal):
            close = CloseConnection(NOT_AUTHENTICATED.code, who.reason)
        elif who is None and not self.credentials.by_message:
            close = CloseConnection(NOT_AUTHENTICATED.code, "this gateway lets nobody in without a credential")
        return Upgrade(
            dialect=self._dialects[spoken](),
            subprotocol=chosen,
            identity=None if isinstance(who, Refusal) else who,
            subscribe=subscribe,
            status=visit.target.one("status") == "1",
            address=visit.caller.address,
            close=close,
        )

    def _origin(self, visit: Visit, missing: str) -> Verdict:
        caller, values = visit.caller, visit.request.headers.get_all("Origin")
        return check_origin(values, host=caller.host, secure=caller.secure, rules=self.access.rules, missing=missing)

    def _rejected(self, visit: Visit, verdict: Verdict) -> Reply:
        origin = ", ".join(visit.request.headers.get_all("Origin"))
        judge = self.credentials
        told = self.rejections.add(
            origin, visit.caller.host, verdict, self.access.allow, now=judge.clock(), wall=judge.wall()
        )
        if told is not None:
            remedy = f"; to allow it: {told.remedy}" if told.remedy else ""
            log.warning("rejected: %s%s", told.reason, remedy, extra={"fields": {"address": visit.caller.address}})
            audit("origin", "refused", address=visit.caller.address, origin=origin, host=visit.caller.host)
        elif self.rejections.overflow:
            text = "more than %d origins were rejected within a minute; those beyond are counted, and not told of here"
            log.warning(text, LINES, extra={"fields": {"address": visit.caller.address}})
        return Reply.refusal(403, verdict.reason, [("Vary", "Origin")])

    # Plain HTTP.

    def _book_read(self, path: str, address: str, who: Identity, *, allowed: bool) -> None:
        named = _named(who)
        key = (path, address, str(allowed), *named.values())
        period = READ_AGAIN if allowed else REFUSED_AGAIN
        if times := self._reads.due(key, self.credentials.clock(), period):
            facts = {"path": path, "address": address, **named, "times": times if times > 1 else None}
            audit("read", "ok" if allowed else "refused", **facts)

    def _preflight(self, visit: Visit) -> Reply:
        """CORS (Fetch standard, 3.2): what a page of another origin has to ask before it sends a credential."""
        verdict = self._origin(visit, "allow")
        if not verdict.allowed:
            return self._rejected(visit, verdict)
        return Reply(
            204,
            headers=(
                ("Allow", _METHODS),
                *self._cors(visit),
                ("Access-Control-Allow-Methods", "GET, HEAD"),
                ("Access-Control-Allow-Headers", "Authorization, Last-Event-ID"),
                ("Access-Control-Max-Age", "600"),
            ),
        )

    def _cors(self, visit: Visit) -> tuple[tuple[str, str], ...]:
        origins = visit.request.headers.get_all("Origin")
        allowed = [("Access-Control-Allow-Origin", origins[0])] if origins else []
        return (*allowed, ("Vary", "Origin"))

    def _data(self, visit: Visit) -> Reply | Pending | Events:
        verdict = self._origin(visit, "allow")
        if not verdict.allowed:
            return self._rejected(visit, verdict)
        if not self.requests.take(visit.caller.address, self.credentials.clock()):
            text = f"more than {REQUESTS:g} requests a second from your address"
            return Reply.refusal(429, text, [("Retry-After", "1"), *self._cors(visit)])
        answer = self._answer(visit)
        if isinstance(answer, Reply | Pending):
            return answer._replace(headers=(*answer.headers, *self._cors(visit)))
        return answer

    def _answer(self, visit: Visit) -> Reply | Pending | Events:
        path = visit.target.path
        try:
            credentials = carried(visit.request.headers)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        if path == METRICS_PATH and visit.peer.door.metrics and credentials.header is None:
            if not visit.names_us:
                return misdirected(visit)
            return self.resources[path].answer(Identity(Role("metrics")), visit.target)
        who = who_asks(visit, credentials, self.credentials, self.access)
        if isinstance(who, Reply):
            return who
        if who is None:
            return Reply.refusal(401, "sign in: this needs a credential", [_CHALLENGE])
        if isinstance(who, Refusal):
            if who.retry_after is not None:
                return Reply.refusal(429, who.reason, [("Retry-After", str(int(who.retry_after) + 1))])
            return Reply.refusal(401, who.reason, [(_CHALLENGE[0], f'{_CHALLENGE[1]}, error="invalid_token"')])
        if path == EVENTS_PATH:
            return self._events(visit, who)
        resource = self.resources[path]
        if resource.right:
            allowed = who.role.right(resource.right)
            self._book_read(path, visit.caller.address, who, allowed=allowed)
            if not allowed:
                return Reply.refusal(403, f'role "{who.role.name}" has not the right "{resource.right}"')
        try:
            return resource.answer(who, visit.target)
        except ValueError as error:
            return Reply.refusal(400, str(error))

    def _events(self, visit: Visit, who: Identity) -> Reply | Pending | Events:
        if not visit.peer.door.speaks("sse"):
            return Reply.refusal(404, "this listener has no Server-Sent Events")
        if visit.request.method == "HEAD":
            return Reply(200, content_type="text/event-stream; charset=utf-8", headers=(_NOT_STORED,))
        try:
            subscribe = subscription_in(visit.target)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        if subscribe is None:
            return Reply.refusal(400, "name what you want: /events?topic=sensors/%23")
        verdicts = [grant(who.role, filter) for filter in subscribe.topics]
        if not any(verdict.granted for verdict in verdicts):
            bad = verdicts[0].code == "bad-filter"
            return Reply.refusal(400 if bad else 403, verdicts[0].reason or "your role forbids it")
        subscribe = resumed(subscribe, visit.request.headers.get_all("Last-Event-ID"))
        status = visit.target.one("status") == "1"
        return Events(who, subscribe, status, visit.caller.address, self._cors(visit))

    def _page(self, path: str, request: Request) -> Reply:
        if path == "/healthz":
            if self.draining:
                return Reply(503, b"draining\n", headers=(_NOT_STORED,))
            return Reply(200, b"ok\n", headers=(_NOT_STORED,))
        if path == "/readyz":
            states = self._upstreams.states()
            text = "".join(f"{state.name}: {state.state}\n" for state in states).encode()
            ready = not self.draining and any(state.state == CONNECTED for state in states)
            if self.readiness is not None:
                # Whoever follows the brokers, all that came in is in the log.
                fault = self.readiness()
                text += f"log: {fault or 'in order'}\n".encode()
                ready = not self.draining and not fault
            return Reply(200 if ready else 503, text, headers=(_NOT_STORED,))
        asset = self._assets.get(path)
        if asset is None:
            return Reply.refusal(404, "there is nothing here; the dashboard is at /, the stream at /stream")
        headers = request.headers
        status, body, extra = asset.answer(
            ",".join(headers.get_all("If-None-Match")), ",".join(headers.get_all("Accept-Encoding"))
        )
        return Reply(status, body, asset.content_type, extra)


def _named(who: Identity) -> dict[str, str]:
    return {"user": who.user, "role": who.role.name, "method": who.method}
