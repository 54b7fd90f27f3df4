"""What clients send, on the real server: requests, frames, and messages of the native protocol."""

import json
import struct
import sys

from support.edgehouse import House

from gateway.edge.dialects.msgpack import NAME as MSGPACK
from gateway.edge.dialects.verbatim import is_json

MASK = bytes(4)
_houses: list[House] = []


def house() -> House:
    """One for the process: what a visit leaves behind would be a finding."""
    if not _houses:
        _houses.append(House())
    return _houses[0]


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
    """Messages of the native protocol in JSON, one a line; what is taken for JSON is JSON to others, too."""
    frames = b"".join(frame(1, line[:60_000]) for line in data.split(b"\n")[:50])
    house().visit(upgrade() + frames)
    if is_json(data):
        digits = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # a bound of Python's own
        json.loads(data)
        sys.set_int_max_str_digits(digits)


def msgpack_commands(data: bytes) -> None:
    """A message of the native protocol in MessagePack."""
    house().visit(upgrade(MSGPACK) + frame(2, data[:60_000]))


TARGETS = (request, websocket, json_commands, msgpack_commands)

SEEDS = {
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
        b'{"type":"subscribe","id":1,"topics":["a/#"],"mode":"latest","interval":2,"replay":{"count":1}}',
        b'{"type":"publish","topic":"a/x","data":{"a":[1,2.5,null]},"qos":1,"retain":true}\n{"type":"auth","token":"gw_"}',
        b'{"type":"history","topic":"a","path":"b.c","from":0,"to":1,"points":9}\n{"type":"unsubscribe","topics":["a"]}',
    ],
    "msgpack_commands": [b"\x83\xa4type\xa9subscribe\xa2id\x01\xa6topics\x91\xa3a/#", b"\x81\xa4type\xa4ping"],
}
