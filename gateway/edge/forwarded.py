"""Who a request is from when proxies stand between (RFC 7239, and the X-Forwarded headers before it). Pure.

Only what a declared proxy says is believed, and of a chain only the part that declared proxies wrote: the client is
the rightmost hop that none of them is.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from websockets.datastructures import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Whoever sends one of these says that somebody stands between: then nobody is "local".
TELLTALES = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Via",
)
MAX_HOPS = 32
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'\s*({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")\s*')


class Caller(NamedTuple):
    """The client behind a request: its address, whether it came by TLS, and the Host that it asked for.

    `direct` says that nobody is known to stand between; `proxied` that a declared proxy does.
    """

    address: str
    secure: bool
    host: str
    direct: bool
    proxied: bool


class _Hop(NamedTuple):
    address: str | None = None
    secure: bool | None = None
    host: str | None = None


def is_trusted(address: str, proxies: Iterable[Network]) -> bool:
    """Whether `address` (as text) is one of the declared proxies."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in proxies)


def caller_of(headers: Headers, *, peer: str, secure: bool, proxies: Sequence[Network]) -> Caller:
    """Who sent a request that came from `peer`; `secure` says whether by TLS.

    Raises ValueError where a declared proxy sent a header that cannot be read, or both kinds and they disagree: then
    one of them is the client's own, passed through.
    """
    host = headers["Host"]
    if not is_trusted(peer, proxies):
        return Caller(peer, secure, host, not any(name in headers for name in TELLTALES), False)
    told = [read(headers) for read, names in _KINDS if any(name in headers for name in names)]
    callers = {_behind(hops, peer, secure, host, proxies) for hops in told}
    if len(callers) > 1:
        raise ValueError("the proxy sends Forwarded and X-Forwarded headers that disagree: have it remove one kind")
    return callers.pop() if callers else Caller(peer, secure, host, False, True)


def _behind(hops: list[_Hop], peer: str, secure: bool, host: str, proxies: Sequence[Network]) -> Caller:
    found, address = _Hop(), peer
    for hop in reversed(hops):
        found = _Hop(hop.address, found.secure if hop.secure is None else hop.secure, hop.host or found.host)
        if hop.address is None:
            break  # "unknown" or hidden on purpose: all beyond is hearsay
        address = hop.address
        if not is_trusted(address, proxies):
            break
    return Caller(address, secure if found.secure is None else found.secure, found.host or host, False, True)


def _forwarded(headers: Headers) -> list[_Hop]:
    hops = []
    for element in _elements(",".join(headers.get_all("Forwarded"))):
        pairs: dict[str, str] = {}
        for part in _elements(element, ";"):
            found = _PAIR.fullmatch(part)
            if found is None or found[1].lower() in pairs:
                raise ValueError("the proxy's Forwarded header is malformed")
            value = found[2]
            if value.startswith('"'):
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            pairs[found[1].lower()] = value
        secure = _secure(pairs["proto"]) if "proto" in pairs else None
        hops.append(_Hop(_node(pairs["for"]) if "for" in pairs else None, secure, pairs.get("host")))
    return hops


def _elements(text: str, separator: str = ",") -> list[str]:
    """The elements of a list, separators inside quotes left alone."""
    parts, quoted, escaped, start = [], False, False, 0
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    found = [part.strip() for part in parts if part.strip()]
    if len(found) > MAX_HOPS:
        raise ValueError(f"a request comes by at most {MAX_HOPS} proxies")
    return found


def _x_forwarded(headers: Headers) -> list[_Hop]:
    def listed(name: str) -> list[str]:
        return _elements(",".join(headers.get_all(name)))

    addresses = listed("X-Forwarded-For") or listed("X-Real-IP")[-1:]
    schemes, hosts = listed("X-Forwarded-Proto"), listed("X-Forwarded-Host")
    hops = []
    for number, address in enumerate(addresses):
        last = number == len(addresses) - 1
        scheme = schemes[number] if len(schemes) == len(addresses) else schemes[-1] if last and schemes else None
        host = hosts[number] if len(hosts) == len(addresses) else hosts[-1] if last and hosts else None
        hops.append(_Hop(_node(address), None if scheme is None else _secure(scheme), host))
    if not addresses and (schemes or hosts):
        hops.append(_Hop(None, _secure(schemes[-1]) if schemes else None, hosts[-1] if hosts else None))
    return hops


def _secure(scheme: str) -> bool:
    return scheme.lower() in ("https", "wss")


def _node(text: str) -> str | None:
    """The address in a node (RFC 7239, 6): with or without port and brackets; None for an unknown or hidden one."""
    if text.lower() == "unknown" or text.startswith("_"):
        return None
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise ValueError("the proxy names a client that is no address") from None
    return str(getattr(ip, "ipv4_mapped", None) or ip)


_KINDS = (
    (_forwarded, ("Forwarded",)),
    (_x_forwarded, ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host")),
)
