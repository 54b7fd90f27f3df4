"""The PROXY protocol, version 2: the first bytes of a connection say whom a proxy speaks for. Pure.

Source: "The PROXY protocol, versions 1 & 2", section 2.2, as HAProxy publishes it.
"""

import ipaddress
import struct
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HEAD = 16  # bytes up to the length of the rest
MAX_REST = 4096
_INET, _INET6 = 0x1, 0x2
_TLV_SSL = 0x20
_CLIENT_SSL = 0x01


class Source(NamedTuple):
    """The client's address, None where the proxy speaks for itself; `secure` whether it reached the proxy by TLS."""

    address: str | None
    secure: bool = False


def rest_of(head: bytes) -> int:
    """How many bytes follow the first sixteen. Raises ValueError where these begin no such header."""
    if len(head) != HEAD or head[:12] != SIGNATURE:
        raise ValueError("no PROXY protocol v2 header, and this proxy is to send one")
    if head[12] >> 4 != 2:
        raise ValueError(f"PROXY protocol version {head[12] >> 4}: 2 is spoken here")
    if head[12] & 0xF > 1:
        raise ValueError("an unknown PROXY protocol command")
    size = int.from_bytes(head[14:16], "big")
    if size > MAX_REST:
        raise ValueError(f"a PROXY protocol header of {size} bytes: at most {MAX_REST} are read")
    return size


def source_in(head: bytes, rest: bytes) -> Source:
    """Whom the header speaks for. Raises ValueError where the addresses are cut off."""
    if head[12] & 0xF == 0:
        return Source(None)  # LOCAL: the proxy's own health check
    family, transport = head[13] >> 4, head[13] & 0xF
    if transport != 1 or family not in (_INET, _INET6):
        return Source(None)
    size = 4 if family == _INET else 16
    if len(rest) < 2 * size + 4:
        raise ValueError("a PROXY protocol header without its addresses")
    ip = ipaddress.ip_address(rest[:size])
    return Source(str(getattr(ip, "ipv4_mapped", None) or ip), _by_tls(rest[2 * size + 4 :]))


def _by_tls(extra: bytes) -> bool:
    while len(extra) >= 3:
        kind, size = struct.unpack_from("!BH", extra)
        value = extra[3 : 3 + size]
        if kind == _TLV_SSL and value:
            return bool(value[0] & _CLIENT_SSL)
        extra = extra[3 + size :]
    return False
