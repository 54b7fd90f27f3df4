"""The little of a certificate that the gateway has to know: its names and how long it is valid. Pure.

A walk through DER (X.690) along the shape of RFC 5280, 4.1; it proves nothing, which is OpenSSL's work. A library for
it would cost more memory than the listener.
"""

import ipaddress
from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _SET, _UTC_TIME, _OID = 0x30, 0x31, 0x17, 0x06
_VERSION, _EXTENSIONS, _OCTETS = 0xA0, 0xA3, 0x04
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_ALT_NAME = bytes((0x55, 0x1D, 0x11))


class Facts(NamedTuple):
    """The common name and the names in subjectAltName (DNS names and addresses), and the end of validity (Unix s)."""

    common_name: str
    names: tuple[str, ...]
    not_after: float


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def next(self) -> tuple[int, bytes]:
        """Tag and content of the next element. Raises ValueError where it is cut off."""
        data, at = self.data, self.at
        if at + 2 > len(data):
            raise ValueError("a certificate that is cut off")
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or at + count > len(data):
                raise ValueError("a certificate with a length that nobody could mean")
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + size > len(data):
            raise ValueError("a certificate that is cut off")
        self.at = at + size
        return tag, data[at : self.at]

    def all(self) -> list[tuple[int, bytes]]:
        """Every element that is left."""
        found = []
        while self.at < len(self.data):
            found.append(self.next())
        return found


def facts_of(der: bytes) -> Facts:
    """The facts of a certificate in DER. Raises ValueError."""
    _, certificate = _Reader(der).next()
    _, signed = _Reader(certificate).next()
    fields = _Reader(signed).all()
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    if len(fields) < 6:
        raise ValueError("a certificate without its fields")
    _, _, _, validity, subject, *rest = fields[:6] + fields[6:]
    times = _Reader(validity[1]).all()
    if len(times) != 2:
        raise ValueError("a certificate without its validity")
    extensions = next((content for tag, content in rest if tag == _EXTENSIONS), b"")
    return Facts(_common_name(subject[1]), tuple(_alt_names(extensions)), _unix(*times[1]))


def _unix(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: 50 and later belong to the last century.
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _common_name(subject: bytes) -> str:
    found = ""
    for _, relative in _Reader(subject).all():
        for _, attribute in _Reader(relative).all():
            parts = _Reader(attribute).all()
            if len(parts) == 2 and parts[0] == (_OID, _COMMON_NAME):
                found = parts[1][1].decode("utf-8", "replace")
    return found


def _alt_names(extensions: bytes) -> list[str]:
    if not extensions:
        return []
    names = []
    _, listed = _Reader(extensions).next()
    for _, extension in _Reader(listed).all():
        parts = _Reader(extension).all()
        if len(parts) < 2 or parts[0] != (_OID, _ALT_NAME) or parts[-1][0] != _OCTETS:
            continue
        _, general = _Reader(parts[-1][1]).next()
        for tag, content in _Reader(general).all():
            if tag == _DNS_NAME:
                names.append(content.decode("ascii", "replace").lower())
            elif tag == _IP_ADDRESS and len(content) in (4, 16):
                names.append(str(ipaddress.ip_address(content)))
    return names
