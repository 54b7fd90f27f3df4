"""MQTT packets as bytes, written independently of the code under test."""

from typing import NamedTuple


def length(value: int) -> bytes:
    """A variable byte integer (MQTT 5.0, 1.5.5)."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (128 if value else 0))
        if not value:
            return bytes(out)


def text(value: str | bytes) -> bytes:
    """A string with its length before it (1.5.4)."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(head: int, body: bytes) -> bytes:
    return bytes([head]) + length(len(body)) + body


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    *,
    qos: int = 0,
    mid: int = 0,
    retain: bool = False,
    dup: bool = False,
    properties: bytes | None = None,
) -> bytes:
    """A PUBLISH (3.3); `properties` (without their length) make it one of MQTT 5, also when empty."""
    body = text(topic) + (mid.to_bytes(2, "big") if qos else b"")
    if properties is not None:
        body += length(len(properties)) + properties
    return packet(0x30 | dup << 3 | qos << 1 | retain, body + payload)


def alias(number: int) -> bytes:
    """The property topic alias (3.3.2.3.4)."""
    return b"\x23" + number.to_bytes(2, "big")


def connect(client_id: str, *, version: int = 4, username: str = "", password: str = "", keepalive: int = 60) -> bytes:
    """A CONNECT with a clean session (3.1)."""
    flags = 0x02 | (0x80 if username else 0) | (0x40 if password else 0)
    body = text("MQTT") + bytes([version, flags]) + keepalive.to_bytes(2, "big")
    body += b"\0" if version == 5 else b""
    body += text(client_id) + (text(username) if username else b"") + (text(password) if password else b"")
    return packet(0x10, body)


def connack(code: int = 0, *, session_present: bool = False, version: int = 4, properties: bytes = b"") -> bytes:
    body = bytes([session_present, code])
    return packet(0x20, body + length(len(properties)) + properties if version == 5 else body)


def suback(mid: int, codes: list[int], *, version: int = 4) -> bytes:
    return packet(0x90, mid.to_bytes(2, "big") + (b"\0" if version == 5 else b"") + bytes(codes))


def disconnect(code: int) -> bytes:
    """A DISCONNECT of MQTT 5 with a reason code (3.14)."""
    return packet(0xE0, bytes([code, 0]))


class Connect(NamedTuple):
    """What a CONNECT said."""

    version: int
    clean: bool
    keepalive: int
    properties: bytes
    client_id: str
    will: tuple[str, bytes, bool] | None
    username: str
    password: str


def read_connect(body: bytes) -> Connect:
    """Read the body of a CONNECT (3.1)."""
    version, flags, keepalive = body[6], body[7], int.from_bytes(body[8:10], "big")
    reader = Reader(body, 10)
    properties = reader.properties() if version == 5 else b""
    client_id = reader.text().decode()
    will = None
    if flags & 0x04:
        if version == 5:
            reader.properties()
        will = (reader.text().decode(), reader.text(), bool(flags & 0x20))
    username = reader.text().decode() if flags & 0x80 else ""
    password = reader.text().decode() if flags & 0x40 else ""
    return Connect(version, bool(flags & 2), keepalive, properties, client_id, will, username, password)


def read_subscribe(body: bytes, version: int) -> tuple[int, list[tuple[str, int]]]:
    """Packet identifier, and filters with their options byte (3.8)."""
    reader = Reader(body, 2)
    if version == 5:
        reader.properties()
    filters = []
    while reader.position < len(body):
        filter = reader.text().decode()
        filters.append((filter, body[reader.position]))
        reader.position += 1
    return int.from_bytes(body[:2], "big"), filters


class Published(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    mid: int


def read_publish(head: int, body: bytes, version: int) -> Published:
    """Read a PUBLISH (3.3)."""
    reader = Reader(body, 0)
    topic, qos, mid = reader.text().decode(), head >> 1 & 3, 0
    if qos:
        mid = int.from_bytes(body[reader.position : reader.position + 2], "big")
        reader.position += 2
    if version == 5:
        reader.properties()
    return Published(topic, body[reader.position :], qos, bool(head & 1), bool(head & 8), mid)


class Reader:
    """Reads strings and properties one after the other."""

    def __init__(self, body: bytes, position: int) -> None:
        self.body = body
        self.position = position

    def text(self) -> bytes:
        size = int.from_bytes(self.body[self.position : self.position + 2], "big")
        start = self.position + 2
        self.position = start + size
        return self.body[start : self.position]

    def properties(self) -> bytes:
        size = shift = 0
        while True:
            byte = self.body[self.position]
            self.position += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        start = self.position
        self.position += size
        return self.body[start : self.position]
