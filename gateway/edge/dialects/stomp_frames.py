"""STOMP frames: what clients send, read; what a server sends, written (STOMP 1.1 and 1.2). Pure."""

import re
from typing import NamedTuple

from gateway.edge.dialects import framing
from gateway.errors import GatewayError

MAX_HEADERS = 64
_KINDS = frozenset(
    {
        *("CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK"),
        *("BEGIN", "COMMIT", "ABORT", "DISCONNECT"),
    }
)
# 1.2, "Value Encoding"; 1.1 knows all but the carriage return.
_ESCAPES = {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"}
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_UNESCAPES = {escaped[1]: plain for plain, escaped in _ESCAPES.items()}


class Malformed(GatewayError):
    """The client broke the standard: an ERROR says why, and the connection ends."""


class Frame(NamedTuple):
    """A client's frame; of a header that stands twice the first counts."""

    command: str
    headers: dict[str, str]
    body: bytes = b""


def escape(value: str, version: str = "1.2") -> str:
    """A header's name or value as it goes over the wire; what 1.1 cannot escape becomes a blank."""
    if version == "1.1":
        value = value.replace("\r", " ")
    return "".join(_ESCAPES.get(char, char) for char in value)


def unescape(value: str, version: str) -> str:
    """A header's name or value as it was meant. Raises Malformed at an escape that the version does not know."""

    def meant(found: re.Match[str]) -> str:
        plain = _UNESCAPES.get(found[1])
        if plain is None or (plain == "\r" and version == "1.1"):
            raise Malformed(f"STOMP {version} does not know the escape {found[0]}")
        return plain

    return _ESCAPE.sub(meant, value) if "\\" in value else value


class _Head(NamedTuple):
    command: str
    headers: dict[str, str]
    end: int
    length: int | None


class Decoder:
    """Takes frames out of a stream of bytes, however it was cut. `limit` bounds one frame, in bytes.

    `version` is set once it is agreed upon: escaping and line ends differ.
    """

    def __init__(self, limit: int) -> None:
        self.version = "1.2"
        self._limit = limit
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take in what came."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame, None where there is none yet. Raises Malformed."""
        buffer = self._buffer
        if self._head is None and not self._find_head():
            return None
        head = self._head
        assert head is not None
        if head.length is None:
            stop = buffer.find(0, max(head.end, self._searched))
            self._searched = len(buffer)
        else:
            stop = head.end + head.length
        if (len(buffer) if stop < 0 else stop) > self._limit:
            raise Malformed(f"a frame has at most {self._limit} bytes")
        if stop < 0 or len(buffer) <= stop:
            return None
        if buffer[stop]:
            raise Malformed("no NUL behind the body: its content-length is wrong")
        body = bytes(buffer[head.end : stop])
        del buffer[: stop + 1]
        self._head, self._searched = None, 0
        if body and head.command != "SEND":
            raise Malformed(f"{head.command} has no body")
        return Frame(head.command, head.headers, body)

    def _find_head(self) -> bool:
        buffer = self._buffer
        # End-of-lines between frames are heart-beats.
        start = 0
        while start < len(buffer) and buffer[start] in b"\r\n":
            start += 1
        if start:
            del buffer[:start]
            self._searched = 0
        found = _END_OF_HEADERS.search(buffer, self._searched)
        if found is None:
            self._searched = max(0, len(buffer) - 2)
            if len(buffer) > self._limit:
                raise Malformed(f"a frame has at most {self._limit} bytes")
            return False
        command, headers = self._read(bytes(buffer[: found.start()]))
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 10):
            raise Malformed("content-length is a number of bytes")
        self._head = _Head(command, headers, found.end(), None if length is None else int(length))
        self._searched = 0
        return True

    def _read(self, head: bytes) -> tuple[str, dict[str, str]]:
        try:
            lines = head.decode().split("\n")
        except UnicodeDecodeError:
            raise Malformed("headers are not UTF-8") from None
        if self.version != "1.1":
            lines = [line.removesuffix("\r") for line in lines]
        command = lines[0]
        if command not in _KINDS:
            raise Malformed(f"{command[:20]!r} is no command of a client")
        if len(lines) > MAX_HEADERS:
            raise Malformed(f"more than {MAX_HEADERS} headers")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name:
                raise Malformed("a header is a name, a colon and a value")
            # 1.2: CONNECT is not escaped, so that 1.0 servers understand it.
            if command not in ("CONNECT", "STOMP"):
                name, value = unescape(name, self.version), unescape(value, self.version)
            headers.setdefault(name, value)
        return command, headers


def encode(command: str, headers: dict[str, str], body: bytes = b"", version: str = "1.2") -> bytes:
    """A frame of the server's, in a WebSocket frame: text where it is UTF-8, else binary."""
    lines = [command]
    for name, value in headers.items():
        if command == "CONNECTED":
            lines.append(f"{name}:{value}")
        else:
            lines.append(f"{escape(name, version)}:{escape(value, version)}")
    if body:
        lines.append(f"content-length:{len(body)}")
    head = "\n".join([*lines, "", ""]).encode()
    return framed(head, body)


def framed(head: bytes, body: bytes) -> bytes:
    """Head, body and the NUL that ends them, in a WebSocket frame."""
    if body.isascii():
        return framing.text(b"%b%b\0" % (head, body))
    try:
        body.decode()
    except UnicodeDecodeError:
        return framing.binary(b"%b%b\0" % (head, body))
    return framing.text(b"%b%b\0" % (head, body))
