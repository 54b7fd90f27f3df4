"""Which Host headers are this gateway's own: the answer to DNS rebinding. Pure.

A foreign page can let its own name point at this machine and is then of the same origin as whatever answers; all that
gives it away is the name in the Host header. An address written as a number cannot be rebound.
"""

import ipaddress
from collections.abc import Iterable

from gateway.edge.origin import parse_host


def own_names(host_name: str, configured: Iterable[str]) -> frozenset[str]:
    """The names that belong to a listener: the machine's, as mDNS tells it too, and those of the configuration."""
    short = host_name.split(".")[0].lower()
    names = {host_name.lower(), short, f"{short}.local", *(name.lower().rstrip(".") for name in configured)}
    return frozenset(name for name in names if name)


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine's loopback. False for one that cannot be read."""
    try:
        name, _ = parse_host(host)
    except ValueError:
        return False
    if name == "localhost":
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def is_own(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header names this gateway: a number, localhost, or one of `names` (a star as first label)."""
    try:
        name, _ = parse_host(host)
    except ValueError:
        return False
    if name == "localhost" or _address(name) is not None:
        return True
    parent = name.partition(".")[2]
    return any(own == name or (own.startswith("*.") and parent and own[2:] == parent) for own in names)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
