"""Plain HTTP on the same port: replies as bytes, and what a request's address asks for. Pure.

One request a connection, GET and HEAD only, no bodies, closed after the answer: nothing to smuggle.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
from websockets.http11 import Request

from gateway.edge.commands import ReplayFrom, Subscribe, replay_in
from gateway.edge.origin import parse_host

REASON_HEADER = "Sensor-Gateway-Reason"
_ALWAYS = (
    ("Connection", "close"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # Whatever a browser makes of an answer, it runs nothing in it and shows it in nobody's frame.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
MAX_REQUEST = 16 * 1024  # bytes of request line and headers together


class Reply(NamedTuple):
    """An HTTP response; `headers` beside Content-Length and those that every response has."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def refusal(cls, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> "Reply":
        """A refusal: its sentence is the body and stands in a header too, where tools show it."""
        plain = "".join(c if 32 <= ord(c) < 127 else "?" for c in reason)[:300]
        return cls(status, reason.encode() + b"\n", headers=((REASON_HEADER, plain), *headers))

    def encode(self, *, head: bool = False) -> bytes:
        """The response's bytes; without its body for HEAD."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        names = {name.lower() for name, _ in self.headers}
        lines += [f"{name}: {value}" for name, value in _ALWAYS if name.lower() not in names]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head else self.body)


class Target(NamedTuple):
    """A request target: the path, and the query's parameters in order. `+` stands for itself: it is a wildcard."""

    path: str
    query: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for key, value in self.query if key == name]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a parameter."""
        return next((value for key, value in reversed(self.query) if key == name), default)


def parse_target(text: str) -> Target:
    """A request target in origin form (RFC 9112, 3.2.1). Raises ValueError for any other, and for control bytes."""
    if not text.startswith("/") or not text.isascii() or any(ord(c) <= 32 or ord(c) == 127 for c in text):
        raise ValueError("a request names a path that begins with / and holds only visible ASCII")
    path, _, query = text.partition("#")[0].partition("?")
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            try:
                pairs.append((unquote(name, errors="strict"), unquote(value, errors="strict")))
            except UnicodeDecodeError:
                raise ValueError("a parameter is not UTF-8 under its % signs") from None
    return Target(path, tuple(pairs))


def _flag(target: Target, name: str, default: bool) -> bool:
    text = target.one(name, "1" if default else "0").lower()
    if text not in ("1", "0", "true", "false"):
        raise ValueError(f"{name} is 1 or 0")
    return text in ("1", "true")


def wants_status(target: Target) -> bool:
    """Whether an address asks for objects about devices and silence beside messages. Raises ValueError."""
    return _flag(target, "status", False)


def subscription_in(target: Target) -> Subscribe | None:
    """The subscription that an address asks for (`?topic=`), None without one. Raises ValueError."""
    topics = target.all("topic")
    if not topics:
        return None
    mode = target.one("mode", "all")
    if mode not in ("all", "latest"):
        raise ValueError("mode is all or latest")
    try:
        interval = float(target.one("interval", "0"))
    except ValueError:
        interval = -1.0
    if not 0 <= interval <= 86_400:
        raise ValueError("interval is a number of seconds from 0 to 86400")
    return Subscribe(
        topics=topics,
        mode="latest" if mode == "latest" else "all",
        interval=interval,
        readings=_flag(target, "readings", False),
        data=_flag(target, "data", True),
        replay=replay_in(target.one("replay", "last")),
    )


def resumed(subscribe: Subscribe, last_event_ids: list[str]) -> Subscribe:
    """The subscription, to go on behind the event that a browser had last (HTML standard, 9.2.4).

    An id that is none of ours is answered like one of another epoch: by a gap and a snapshot.
    """
    if not last_event_ids or not last_event_ids[-1]:
        return subscribe
    epoch, _, offset = last_event_ids[-1][:100].rpartition(":")
    wish = ReplayFrom(epoch, int(offset)) if re.fullmatch("[0-9]{1,18}", offset) else ReplayFrom("", 0)
    return msgspec.structs.replace(subscribe, replay=wish)


def event_stream_head(headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The head of an answer that goes on as Server-Sent Events until either side ends the connection."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", "X-Accel-Buffering: no"]
    lines += [f"{name}: {value}" for name, value in (*_ALWAYS, *headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def fault_of(request: Request) -> str | None:
    """What is malformed about a request that the parser let pass, None where nothing is (RFC 9112)."""
    if request.protocol != "HTTP/1.1":
        return f"{request.protocol} is not spoken here: HTTP/1.1 is"
    hosts = request.headers.get_all("Host")
    if len(hosts) != 1:
        return "a request has exactly one Host header"
    try:
        parse_host(hosts[0])
    except ValueError as error:
        return str(error)
    for name in ("Transfer-Encoding", "Content-Length"):
        if any(value.strip() != "0" for value in request.headers.get_all(name)):
            return "a request has no body here"
    # More than one Origin is a matter of its own check, which says 403.
    for name in ("Authorization", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Upgrade", "Last-Event-ID"):
        if len(request.headers.get_all(name)) > 1:
            return f"more than one {name} header"
    return None
