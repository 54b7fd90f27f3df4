"""Numbers of the past by plain HTTP, `/api/history`: the question in an address, the answer as JSON or CSV. Pure."""

from collections.abc import Callable

import msgspec

from gateway.edge.commands import History
from gateway.edge.credentials import Identity
from gateway.edge.history import ask
from gateway.edge.http import Reply, Target
from gateway.edge.room import Room
from gateway.edge.visits import Later
from gateway.errors import CommandError
from gateway.hub.series import Series

_STATUS = {"forbidden": 403, "no-history": 404, "too-fast": 429}
_RETRY = {429: (("Retry-After", "1"),)}
_FORMS = ("json", "csv")


def history(room: Room, who: Identity, target: Target) -> Later:
    """The answer to what a `history` command asks; `format` is json or csv. Raises ValueError at a bad question."""
    form = target.one("format", "json")
    if form not in _FORMS:
        raise ValueError(f"format is {' or '.join(_FORMS)}")
    question = _question(target)

    def begin(take: Callable[[Reply], None]) -> None:
        try:
            ask(room.archive, who.role, question, lambda series: take(_csv(series) if form == "csv" else _json(series)))
        except CommandError as error:
            status = _STATUS.get(error.code, 400)
            take(Reply.refusal(status, error.text, _RETRY.get(status, ())))

    return Later(begin)


def _question(target: Target) -> History:
    points = target.one("points", "500")
    if not points.isascii() or not points.isdigit():
        raise ValueError("points is a whole number")
    return History(
        since=_seconds(target, "from"),
        until=_seconds(target, "to"),
        points=int(points[:9]),
        topic=target.one("topic") or None,
        path=target.one("path") or None,
        device=target.one("device") or None,
        channel=target.one("channel") or None,
        quantity=target.one("quantity") or None,
    )


def _seconds(target: Target, name: str) -> float:
    try:
        return float(target.one(name))
    except ValueError:
        raise ValueError("from and to are Unix seconds, as in from=1767225600&to=1767229200") from None


def _json(series: Series) -> Reply:
    answer = {"series": series.rows, "complete": series.complete}
    return Reply(200, msgspec.json.encode(answer), "application/json")


def _csv(series: Series) -> Reply:
    """RFC 4180, with a line of names; whether it is complete only JSON can say."""
    lines = ["time,min,max,last", *(",".join(map(repr, row)) for row in series.rows), ""]
    return Reply(200, "\r\n".join(lines).encode(), "text/csv; charset=utf-8; header=present")
