"""What is fuzzed: each target takes bytes, and raises nothing whatever they are.

`everything` chooses one of the others by its first byte.
"""

import ipaddress
import logging
import struct
from collections.abc import Callable
from pathlib import Path

from support import fuzzdialects
from support.edgehouse import House
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderValue

from gateway.edge.credentials import carried
from gateway.edge.dialects.msgpack import NAME as MSGPACK
from gateway.edge.forwarded import caller_of
from gateway.edge.hosts import is_own
from gateway.edge.origin import check_origin, parse_rule
from gateway.edge.proxy_protocol import HEAD, rest_of, source_in
from gateway.edge.roles import Role, grant, may_see
from gateway.edge.tokens import Tokens
from gateway.edge.x509 import facts_of
from gateway.topics import covers, matches, overlaps, validate_filter, validate_topic

logging.disable(logging.CRITICAL)

MASK = bytes(4)
_house: House | None = None


def house() -> House:
    """One for the process: what a visit leaves behind would be a finding."""
    global _house
    if _house is None:
        _house = House()
    return _house


def upgrade(subprotocol: str = "") -> bytes:
    """A good WebSocket handshake."""
    offered = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offered}\r\n"
    ).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame, its mask all zeros."""
    size = len(payload)
    head = (
        struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 254, size)
    )
    return head + MASK + payload


def request(data: bytes) -> None:
    """An HTTP request, whole and in pieces: the same answer."""
    answer = house().visit(data)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    pieces = house().visit(data, piece=7)
    assert answer[:12] == pieces[:12], "the answer hangs on how the bytes were cut"


def websocket(data: bytes) -> None:
    """Whatever comes behind a good handshake."""
    assert house().visit(upgrade() + data).startswith(b"HTTP/1.1 101 ")


def json_commands(data: bytes) -> None:
    """Messages of the native protocol in JSON, one a line."""
    frames = b"".join(frame(1, line[:60_000]) for line in data.split(b"\n")[:50])
    house().visit(upgrade() + frames)


def msgpack_commands(data: bytes) -> None:
    """A message of the native protocol in MessagePack."""
    house().visit(upgrade(MSGPACK) + frame(2, data[:60_000]))


def filters(data: bytes) -> None:
    """Two filters and a topic: what the verdicts promise about each other."""
    parts = data.decode("utf-8", "surrogateescape" if data[:1] == b"s" else "replace").split("\n", 2)
    one, other, topic = (*parts, "", "")[:3]
    for text, check in ((one, validate_filter), (other, validate_filter), (topic, validate_topic)):
        try:
            check(text)
        except ValueError:
            return
    if covers(one, other) and matches(other, topic):
        assert matches(one, topic)
    if matches(one, topic) and matches(other, topic):
        assert overlaps(one, other)
    role = Role("r", subscribe=(one,), deny=("a/#",))
    if grant(role, other).granted and matches(other, topic) and not matches("a/#", topic):
        assert may_see(role, topic)


PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
TOKENS = Tokens(Path("no-such-file"))
RULES = [parse_rule(text) for text in ("https://panel.example", "https://*.kiosk.example", "http://localhost:*")]


def origins(data: bytes) -> None:
    """Origin and Host, and who stands behind the proxies."""
    text = data.decode("latin-1")
    value, host, proxy = (*text.split("\n", 2), "", "")[:3]
    verdict = check_origin([value], host=host, secure=True, rules=RULES, missing="deny")
    if verdict.allowed and verdict.reason != "same origin":
        rest = value.lower().partition("://")[2]
        name = rest.rpartition(":")[0] if ":" in rest else rest
        assert name in ("panel.example", "localhost") or name.endswith(".kiosk.example")
    is_own(host, ["box", "*.lan"])
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Authorization", "Sec-WebSocket-Protocol"):
        try:
            headers = Headers([("Host", "box"), (name, proxy)])
        except InvalidHeaderValue:
            return  # the parser lets no such value through
        try:
            carried(headers)
            caller_of(headers, peer="10.0.0.1", secure=False, proxies=PROXIES)
        except ValueError:
            pass  # refused: what it is for


def preludes(data: bytes) -> None:
    """What is read before anybody is known: a proxy's header, a certificate, a token."""
    try:
        if rest_of(data[:HEAD]) <= len(data) - HEAD:
            source_in(data[:HEAD], data[HEAD:])
    except ValueError:
        pass
    try:
        facts_of(data)
    except ValueError:
        pass
    assert isinstance(TOKENS.verify(data.decode("utf-8", "replace"), 0.0), str)


def everything(data: bytes) -> None:
    """One of the others, by the first byte."""
    if data:
        SINGLE[data[0] % len(SINGLE)](data[1:])


SINGLE: list[Callable[[bytes], None]] = [
    request,
    websocket,
    json_commands,
    msgpack_commands,
    filters,
    origins,
    preludes,
    *fuzzdialects.TARGETS.values(),
]
TARGETS = {target.__name__: target for target in (*SINGLE, everything)}

SEEDS: dict[str, list[bytes]] = {
    **fuzzdialects.SEEDS,
    "request": [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /events?topic=a/%23 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: e1:1\r\n\r\n",
        b"GET /api/topics?limit=1 HTTP/1.1\r\nHost: localhost\r\nOrigin: https://panel.example\r\n\r\n",
        b"OPTIONS /api/status HTTP/1.1\r\nHost: [::1]:80\r\nAuthorization: Bearer x\r\n\r\n",
        upgrade("bearer.YQ, sensor-gateway.v1.json"),
    ],
    "websocket": [
        frame(1, b'{"type":"ping","id":1}') + frame(9, b"x") + frame(8, b"\x03\xe8"),
        b"\x01\x80\0\0\0\0" + frame(9, b"") + b"\x80\x80\0\0\0\0",
    ],
    "json_commands": [
        b'{"type":"subscribe","id":1,"topics":["a/#"],"replay":{"epoch":"e1","offset":0}}\n{"type":"ping","id":"x"}',
        b'{"type":"publish","topic":"a/x","data":{"a":[1]},"qos":1}\n{"type":"auth","token":"gw_"}',
        b'{"type":"history","topic":"a","from":0,"to":1}\n{"type":"unsubscribe","topics":["a/#"]}',
    ],
    "msgpack_commands": [b"\x83\xa4type\xa9subscribe\xa2id\x01\xa6topics\x91\xa3a/#", b"\x81\xa4type\xa4ping"],
    "filters": [b"a/#\na/+/b\na/x/b", b"+/#\n#\n$SYS/x"],
    "origins": [b"https://a.kiosk.example\nbox:80\nfor=192.0.2.1;proto=https", b"null\n[::1]\nBearer x"],
    "preludes": [b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), b"\x30\x82\x01\x00\x30\x00"],
}
