"""The paths that answer with data: who may ask for which, how often, and as whose page. Pure."""

from typing import Protocol

from gateway.edge.audit import Seldom, audit
from gateway.edge.credentials import Identity, Judge, Refusal, carried
from gateway.edge.http import Reply, resumed, subscription_in, wants_status
from gateway.edge.origin import Verdict
from gateway.edge.rate import Rate
from gateway.edge.roles import Role, grant
from gateway.edge.visits import Access, Events, Later, Pending, Resource, Visit
from gateway.edge.whoasks import misdirected, who_asks

EVENTS_PATH = "/events"
METRICS_PATH = "/metrics"
METHODS = "GET, HEAD, OPTIONS"
REQUESTS = 10.0  # a second and address: an answer may cost a walk over every topic
READ_AGAIN = 3600.0  # seconds before the audit tells again of who reads the same
REFUSED_AGAIN = 60.0  # and of who is refused it
_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="sensor-gateway"')

Cors = tuple[tuple[str, str], ...]


class Rules(Protocol):
    """What the front door goes by now."""

    access: Access
    credentials: Judge

    def may_ask(self, visit: Visit, missing: str) -> Verdict:
        """Whether the page behind a request may ask; `missing` is what holds where none is named."""

    def rejected(self, visit: Visit, verdict: Verdict) -> Reply:
        """The answer to a page that may not."""


class DataPaths:
    """`resources` are the paths and who answers for them: others put theirs in. Beside them there is /events."""

    def __init__(self, rules: Rules) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests = Rate(REQUESTS)
        self._rules = rules
        self._reads = Seldom()

    def __contains__(self, path: str) -> bool:
        return path in self.resources or path == EVENTS_PATH

    def answer(self, visit: Visit) -> Reply | Pending | Later | Events:
        """What a request for one of them gets."""
        verdict = self._rules.may_ask(visit, "allow")
        if not verdict.allowed:
            return self._rules.rejected(visit, verdict)
        if not self.requests.take(visit.caller.address, self._rules.credentials.clock()):
            text = f"more than {REQUESTS:g} requests a second from your address"
            return Reply.refusal(429, text, [("Retry-After", "1"), *cors(visit)])
        answer = self._answer(visit)
        if isinstance(answer, Reply | Pending | Later):
            return answer._replace(headers=(*answer.headers, *cors(visit)))
        return answer

    def preflight(self, visit: Visit) -> Reply:
        """CORS (Fetch standard, 3.2): what a page of another origin has to ask before it sends a credential."""
        verdict = self._rules.may_ask(visit, "allow")
        if not verdict.allowed:
            return self._rules.rejected(visit, verdict)
        return Reply(
            204,
            headers=(
                ("Allow", METHODS),
                *cors(visit),
                ("Access-Control-Allow-Methods", "GET, HEAD"),
                ("Access-Control-Allow-Headers", "Authorization, Last-Event-ID"),
                ("Access-Control-Max-Age", "600"),
            ),
        )

    def _answer(self, visit: Visit) -> Reply | Pending | Later | Events:
        path = visit.target.path
        try:
            credentials = carried(visit.request.headers)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        if path == METRICS_PATH and visit.peer.door.metrics and credentials.header is None:
            if not visit.names_us:
                return misdirected(visit)
            return self.resources[path].answer(Identity(Role("metrics")), visit.target)
        who = who_asks(visit, credentials, self._rules.credentials, self._rules.access)
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

    def _events(self, visit: Visit, who: Identity) -> Reply | Pending | Later | Events:
        if not visit.peer.door.speaks("sse"):
            return Reply.refusal(404, "this listener has no Server-Sent Events")
        if visit.request.method == "HEAD":
            return Reply(200, content_type="text/event-stream; charset=utf-8")
        try:
            subscribe, status = subscription_in(visit.target), wants_status(visit.target)
        except ValueError as error:
            return Reply.refusal(400, str(error))
        if subscribe is None:
            return Reply.refusal(400, "name what you want: /events?topic=sensors/%23")
        verdicts = [grant(who.role, filter) for filter in subscribe.topics]
        if not any(verdict.granted for verdict in verdicts):
            bad = verdicts[0].code == "bad-filter"
            return Reply.refusal(400 if bad else 403, verdicts[0].reason or "your role forbids it")
        subscribe = resumed(subscribe, visit.request.headers.get_all("Last-Event-ID"))
        return Events(who, subscribe, status, visit.caller.address, cors(visit))

    def _book_read(self, path: str, address: str, who: Identity, *, allowed: bool) -> None:
        named = _named(who)
        key = (path, address, str(allowed), *named.values())
        period = READ_AGAIN if allowed else REFUSED_AGAIN
        if times := self._reads.due(key, self._rules.credentials.clock(), period):
            facts = {"path": path, "address": address, **named, "times": times if times > 1 else None}
            audit("read", "ok" if allowed else "refused", **facts)


def cors(visit: Visit) -> Cors:
    """The headers by which a page of another origin may read the answer (Fetch standard, 3.2)."""
    origins = visit.request.headers.get_all("Origin")
    allowed = [("Access-Control-Allow-Origin", origins[0])] if origins else []
    return (*allowed, ("Vary", "Origin"))


def _named(who: Identity) -> dict[str, str]:
    return {"user": who.user, "role": who.role.name, "method": who.method}
