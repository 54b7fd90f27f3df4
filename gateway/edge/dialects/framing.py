"""WebSocket frames from a server (RFC 6455, 5.2): unmasked, so that the same bytes serve every client."""

from struct import Struct

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_LONG = Struct("!BBH").pack
_LONGER = Struct("!BBQ").pack
_TABLE = 2048


def _header(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65_536:
        return _LONG(0x80 | opcode, 126, size)
    return _LONGER(0x80 | opcode, 127, size)


# Most messages are short: a look-up is a third of the price of packing.
TEXT_HEADERS = [_header(TEXT, size) for size in range(_TABLE)]
"""By the size of the body."""
_BINARY_HEADERS = [_header(BINARY, size) for size in range(_TABLE)]


NOTHING = bytes((0x80 | PONG, 0))
"""A pong that nobody asked for: what is sent in place of a message that a dialect cannot express (RFC 6455, 5.5.3)."""


def text(body: bytes) -> bytes:
    """A text frame around `body`, which is UTF-8."""
    size = len(body)
    return (TEXT_HEADERS[size] if size < _TABLE else _header(TEXT, size)) + body


def binary(body: bytes) -> bytes:
    """A binary frame around `body`."""
    size = len(body)
    return (_BINARY_HEADERS[size] if size < _TABLE else _header(BINARY, size)) + body


def body(frame: bytes) -> bytes:
    """What is inside one frame of ours."""
    size = frame[1]
    return frame[2:] if size < 126 else frame[4:] if size == 126 else frame[10:]


def ping(body: bytes = b"") -> bytes:
    """A ping frame; at most 125 bytes of body (RFC 6455, 5.5)."""
    return _header(PING, len(body)) + body


def close(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to what fits into 125 bytes, between two characters."""
    body = code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
    return _header(CLOSE, len(body)) + body
