"""The front door: what becomes of a request. Pure; the server carries the verdict out.

In this order: is it well-formed, who stands behind it, may its page ask (Origin), is it us that it asks (Host), who is
it. After the Origin and Host checks a WebSocket request is never refused by a status: page scripts would see only 1006.
It is accepted and closed with a code and a reason.
"""

import logging
from collections.abc import Callable, Mapping

from websockets.http11 import Request

from gateway.edge.audit import audit
from gateway.edge.credentials import Identity, Judge, Refusal, carried
from gateway.edge.datapaths import METHODS, DataPaths, cors
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.registry import KINDS, PLAIN_REFUSALS, VERSIONS
from gateway.edge.doors import Door
from gateway.edge.forwarded import caller_of
from gateway.edge.http import Reply, fault_of, parse_target, subscription_in, wants_status
from gateway.edge.openpaths import OpenPaths
from gateway.edge.origin import Verdict, check_origin
from gateway.edge.rejections import LINES, Rejections
from gateway.edge.static import Asset
from gateway.edge.visits import Access, Events, Later, Peer, Pending, Upgrade, Visit
from gateway.edge.whoasks import who_asks, who_still
from gateway.errors import NOT_AUTHENTICATED, PROTOCOL_ERROR, CloseConnection
from gateway.hub.ports import UpstreamStatus
from gateway.topics import shorten

log = logging.getLogger("gateway.edge")

STREAM_PATHS = frozenset({"/", "/stream", "/ws", "/mqtt", "/stomp"})


class Front:
    """Judges requests. `dialects` makes the dialect of a subprotocol token ("" where none is offered) or of a path.

    `data` are the paths that answer with data, `open` those that anybody may ask for. All may be changed under way.
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
        self.data = DataPaths(self)
        self.open = OpenPaths(assets, upstreams)
        self._dialects = dialects

    def speak(self, dialects: Mapping[str, Callable[[], Dialect]]) -> None:
        """Speak these dialects with whoever comes from now on; who is here keeps the one it has."""
        self._dialects = dialects

    def judge(self, request: Request, peer: Peer) -> Reply | Pending | Later | Upgrade | Events:
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
            return self.data.preflight(visit)
        if request.method not in ("GET", "HEAD"):
            return Reply.refusal(405, f"{shorten(request.method, 20)} is not allowed here", [("Allow", METHODS)])
        if target.path == "/stream":
            return Reply.refusal(426, "this is a WebSocket stream", [("Upgrade", "websocket")])
        if target.path in PLAIN_REFUSALS:
            verdict = self.may_ask(visit, "allow")
            if not verdict.allowed:
                return self.rejected(visit, verdict)
            return Reply.refusal(400, PLAIN_REFUSALS[target.path], cors(visit))
        if target.path in self.data:
            return self.data.answer(visit)
        return self.open.answer(target.path, request)

    def still(self, identity: Identity, door: Door) -> Identity | Refusal:
        """Who somebody is by the rules as they are now."""
        return who_still(identity, door, self.credentials, self.access)

    # Streams.

    def _stream(self, visit: Visit) -> Reply | Upgrade:
        verdict = self.may_ask(visit, self.access.missing)
        if not verdict.allowed:
            return self.rejected(visit, verdict)
        try:
            credentials = carried(visit.request.headers)
            subscribe, status = subscription_in(visit.target), wants_status(visit.target)
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
        parameter, version, otherwise = VERSIONS.get(spoken, ("", "", ""))
        close = None
        if visit.target.one(parameter, version) != version:
            close = CloseConnection(PROTOCOL_ERROR.code, otherwise)
        elif isinstance(who, Refusal):
            close = CloseConnection(NOT_AUTHENTICATED.code, who.reason)
        elif who is None and not self.credentials.by_message:
            close = CloseConnection(NOT_AUTHENTICATED.code, "this gateway lets nobody in without a credential")
        return Upgrade(
            dialect=self._dialects[spoken](),
            subprotocol=chosen,
            identity=None if isinstance(who, Refusal) else who,
            subscribe=subscribe,
            status=status,
            address=visit.caller.address,
            close=close,
        )

    def may_ask(self, visit: Visit, missing: str) -> Verdict:
        """Whether the page behind a request may ask; `missing` is what holds where none is named."""
        caller, values = visit.caller, visit.request.headers.get_all("Origin")
        return check_origin(values, host=caller.host, secure=caller.secure, rules=self.access.rules, missing=missing)

    def rejected(self, visit: Visit, verdict: Verdict) -> Reply:
        """The answer to a page that may not; the log tells of it, once a minute."""
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
