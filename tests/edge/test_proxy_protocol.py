import socket
import struct

import pytest

from gateway.edge.proxy_protocol import SIGNATURE, Source, rest_of, source_in


def header(command: int = 1, family: int = 0x11, rest: bytes = b"", version: int = 2) -> tuple[bytes, bytes]:
    return SIGNATURE + bytes((version << 4 | command, family)) + struct.pack("!H", len(rest)), rest


def inet(address: str = "192.0.2.7", extra: bytes = b"") -> bytes:
    return socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443) + extra


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def read(head: bytes, rest: bytes) -> Source:
    assert rest_of(head) == len(rest)
    return source_in(head, rest)


def test_addresses_of_both_families():
    assert read(*header(rest=inet())) == Source("192.0.2.7")
    six = socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + b"\0\1\0\2"
    assert read(*header(family=0x21, rest=six)) == Source("2001:db8::1")
    mapped = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") * 2 + b"\0\1\0\2"
    assert read(*header(family=0x21, rest=mapped)) == Source("192.0.2.7")


def test_a_proxy_may_speak_for_itself():
    assert read(*header(command=0, family=0)) == Source(None)
    assert read(*header(family=0)) == Source(None)
    assert read(*header(family=0x31, rest=b"x" * 216)) == Source(None)


def test_tls_before_the_proxy_is_told():
    by_tls = tlv(0x03, b"crc!") + tlv(0x20, b"\x01\0\0\0\0")
    assert read(*header(rest=inet(extra=by_tls))).secure
    assert not read(*header(rest=inet(extra=tlv(0x20, b"\0\0\0\0\0")))).secure
    assert not read(*header(rest=inet(extra=b"\x20\xff"))).secure


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        SIGNATURE + b"\x11\x11\0\x0c",
        SIGNATURE + b"\x22\x11\0\x0c",
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE,
    ],
    ids=["http", "version 1", "command", "too long", "short"],
)
def test_anything_else_is_refused(head):
    with pytest.raises(ValueError, match=r".+"):
        rest_of(head)


def test_cut_off_addresses_are_refused():
    head, _ = header(rest=b"12345678")
    with pytest.raises(ValueError, match="without its addresses"):
        source_in(head, b"12345678")
