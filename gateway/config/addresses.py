"""Addresses as the configuration writes them: listeners and broker urls, judged as text only, without any look-up."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

URL_SCHEMES = ("mqtt", "mqtts", "ws", "wss", "unix")
UNIX = "unix:"

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")


def address_fault(address: str) -> str | None:
    """Say what is wrong with an address to listen on; None when nothing is."""
    if address.startswith(UNIX):
        return None if len(address) > len(UNIX) else f'"{address}" names no file, expected unix:/path/of/socket'
    if address == "*" or _ip(address) is not None:
        return None
    expected = 'expected an IP address, a host name or "*"'
    bracketed = re.fullmatch(r"\[(.+)\](?::([0-9]+))?|([^:]+):([0-9]+)", address)
    if bracketed:
        host, port = bracketed[1] or bracketed[3], bracketed[2] or bracketed[4]
        hint = f", port = {port}" if port else ""
        return f'"{address}" is not an address alone, expected address = "{host}"{hint}'
    # An IPv4 address with a slip in it would pass for a host name.
    if _HOST_NAME.fullmatch(address) and not re.fullmatch("[0-9.]+", address):
        return None
    return f'"{address}" is no address, {expected}'


def is_host_name(text: str) -> bool:
    """Whether `text` may be the name of a host, in ASCII (RFC 1123, 2.1; underscores are met in the field)."""
    return _HOST_NAME.fullmatch(text) is not None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a listener on `address`: loopback, `localhost` or a Unix socket."""
    if address.startswith(UNIX) or address.lower() == "localhost":
        return True
    ip = _ip(address)
    if ip is None:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def endpoint(address: str, port: int) -> str:
    """Write address and port as people do: `0.0.0.0:8443`, `[::1]:8880`, `unix:/run/x.sock`."""
    if address.startswith(UNIX):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def overlapping(one: str, port: int, other: str, other_port: int) -> bool:
    """Whether two listeners would claim the same place. Port 0 is a new one every time."""
    if one.startswith(UNIX) or other.startswith(UNIX):
        return one == other
    if port != other_port or port == 0:
        return False
    return bool(_reach(one) & _reach(other)) or any(
        wildcard in _reach(here) and any(_family(place) == wildcard for place in _reach(there))
        for here, there in ((one, other), (other, one))
        for wildcard in ("0.0.0.0", "::")
    )


def _reach(address: str) -> set[str]:
    if address == "*":
        return {"0.0.0.0", "::"}
    if address.lower() == "localhost":
        return {"127.0.0.1", "::1"}
    ip = _ip(address)
    return {str(ip) if ip is not None else address.lower()}


def _family(place: str) -> str | None:
    ip = _ip(place)
    return None if ip is None else "0.0.0.0" if ip.version == 4 else "::"


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def url_scheme(url: str) -> str:
    """The scheme of a broker's url, in lower case; empty where there is none."""
    return url.partition("://")[0].lower() if "://" in url else ""


def url_fault(url: str) -> str | None:
    """Say what is wrong with a broker's url; None when nothing is. Credentials in it are never repeated."""
    expected = "expected mqtt://host:port, with mqtts, ws or wss likewise, or unix:///path/of/socket"
    if "@" in url and url_scheme(url) != "unix":
        return "credentials do not belong into an address, expected username and password_file"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"the address cannot be understood, {expected}"
    if parts.scheme not in URL_SCHEMES or "://" not in url:
        return f'"{url}" has no known scheme, {expected}'
    return _parts_fault(url, parts, port, expected)


def _host_fault(host: str) -> bool:
    """Whether nobody could look `host` up: it has an empty or an overlong label, or characters that no name has."""
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return True
    return not is_host_name(ascii_host) and _ip(host) is None


def _parts_fault(url: str, parts: SplitResult, port: int | None, expected: str) -> str | None:
    if parts.scheme == "unix":
        return None if parts.path and not parts.netloc else f'"{url}" names no file, expected unix:///path/of/socket'
    if not parts.hostname or re.search(r"[\s\x00-\x1f]", url):
        return f'"{url}" names no host, {expected}'
    if _host_fault(parts.hostname):
        return f'"{parts.hostname}" cannot be the name of a host, {expected}'
    if port == 0:
        return f'"{url}" has port 0, {expected}'
    if parts.fragment or parts.query or (parts.scheme in ("mqtt", "mqtts") and parts.path not in ("", "/")):
        return f'"{url}" has more than a host and a port, {expected}'
    return None


def nats_url_fault(url: str) -> str | None:
    """Say what is wrong with the url of a NATS server; None when nothing is. Credentials in it are never repeated."""
    expected = "expected nats://host:port or tls://host:port"
    if "@" in url:
        return "credentials do not belong into an address, expected user and password_file, or token_file"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"the address cannot be understood, {expected}"
    if parts.scheme not in ("nats", "tls") or "://" not in url:
        return f'"{url}" has no known scheme, {expected}'
    if not parts.hostname or re.search(r"[\s\x00-\x1f]", url):
        return f'"{url}" names no host, {expected}'
    if _host_fault(parts.hostname):
        return f'"{parts.hostname}" cannot be the name of a host, {expected}'
    if port == 0:
        return f'"{url}" has port 0, {expected}'
    if parts.fragment or parts.query or parts.path not in ("", "/"):
        return f'"{url}" has more than a host and a port, {expected}'
    return None
