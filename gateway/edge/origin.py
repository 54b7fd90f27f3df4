"""Who may open a stream from a browser: a verdict on the Origin header, with its reason (RFC 6454, RFC 6455 10.2).

Pure. The check protects the users of honest browsers from foreign pages; it is no login. Nothing is compared as text:
an origin is parsed into scheme, host and port, or it is refused.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# A registered name is letters, digits and a few signs (RFC 3986, 3.2.2): no control character gets into a log by it.
_NAME = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::([0-9]{1,5}))?"
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://" + _NAME)
_HOST = re.compile(_NAME)


class Origin(NamedTuple):
    """An origin: scheme and host in lower case (IDN in its ASCII form), port as a number."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        port = "" if DEFAULT_PORTS.get(self.scheme, 0) == self.port else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


class Verdict(NamedTuple):
    """Whether it is allowed, why (for the client and the log), and the TOML line that would allow it."""

    allowed: bool
    reason: str
    remedy: str | None = None


class Rule(NamedTuple):
    """One entry of `[origins] allow`; scheme None: any origin, port None: any port, any_label: `*.` before the host."""

    scheme: str | None
    host: str = ""
    port: int | None = None
    any_label: bool = False
    null: bool = False


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValueError(f'"{host}" is no host name') from None


def _normal_host(host: str) -> str:
    """A host in the one form that is compared: lower case, an IPv6 literal compressed (RFC 5952)."""
    if not host.startswith("["):
        return host.lower()
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        raise ValueError(f"{host} is no IPv6 address") from None


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if int(text) > 65_535:
        raise ValueError("a port is at most 65535")
    return int(text)


def parse_origin(text: str) -> Origin:
    """An Origin header's value. Raises ValueError for whatever is not scheme://host[:port]."""
    found = _ORIGIN.fullmatch(text)
    if found is None or not text.isascii():
        raise ValueError("an origin is scheme://host[:port], nothing more")
    scheme, port = found[1].lower(), _port(found[3])
    return Origin(scheme, _normal_host(found[2]), DEFAULT_PORTS.get(scheme, 0) if port is None else port)


def parse_host(text: str) -> tuple[str, int | None]:
    """A Host header's value as (host in lower case, port or None). Raises ValueError."""
    found = _HOST.fullmatch(text)
    if found is None or not text.isascii():
        raise ValueError("a Host header is host[:port]")
    return _normal_host(found[1]), _port(found[2])


def parse_rule(text: str) -> Rule:
    """An entry of `[origins] allow`. Raises ValueError with what is wrong and what was expected.

    "*" (any), "null", an origin (a trailing slash and letter case do not matter, a non-ASCII host is turned into its
    ASCII form), `https://*.example.org` (exactly one label for the star), `http://localhost:*` (any port).
    """
    if text == "*":
        return Rule(None)
    if text == "null":
        return Rule("null", null=True)
    scheme, separator, rest = text.removesuffix("/").partition("://")
    if not separator:
        raise ValueError(f'"{text}" has no scheme: write "https://{text}"')
    host, port_text = rest, ""
    colon = rest.rfind(":")
    if colon > rest.rfind("]"):
        host, port_text = rest[:colon], rest[colon + 1 :]
    any_label = host.startswith("*.")
    host = host.removeprefix("*.")
    if not host or any(c in host for c in "*/?#@, "):
        raise ValueError(f'"{text}" is no origin: scheme://host[:port]; a star only as the first label or as the port')
    if any_label and "." not in host:
        raise ValueError(f'"{text}" would allow every site of a whole top-level domain')
    if port_text == "*":
        port = None
    else:
        parsed = parse_origin(f"{scheme}://{_ascii_host(host)}{':' + port_text if port_text else ''}")
        port = parsed.port
    return Rule(scheme.lower(), _normal_host(_ascii_host(host)), port, any_label)


def _follows(origin: Origin, rule: Rule) -> bool:
    if rule.scheme is None:
        return True
    if rule.null or origin.scheme != rule.scheme or rule.port not in (None, origin.port):
        return False
    if rule.any_label:
        label, dot, parent = origin.host.partition(".")
        return bool(label and dot) and parent == rule.host
    return origin.host == rule.host


def toml_line(verdict: Verdict, allow: Sequence[str]) -> str | None:
    """The line of the configuration that would let a refused page in; `allow` is what it lets in now."""
    if verdict.remedy is None:
        return None
    kept = "".join(f'"{text}", ' for text in allow)
    return f"[origins] {verdict.remedy.replace('allow = [', f'allow = [{kept}')}"


def _same(origin: Origin, host: str, secure: bool) -> bool:
    """Whether `origin` is this gateway itself, reached as `host`.

    A page that came in the clear is never the same as a gateway that is reached by TLS: somebody on the way may have
    written it. The other way round (https page, plain listener) a proxy in front does TLS and does not say so.
    """
    if origin.scheme not in ("http", "https") or (secure and origin.scheme != "https"):
        return False
    try:
        name, port = parse_host(host)
    except ValueError:
        return False
    return name == origin.host and (DEFAULT_PORTS[origin.scheme] if port is None else port) == origin.port


def check_origin(
    values: Sequence[str], *, host: str | None, secure: bool, rules: Sequence[Rule], missing: str
) -> Verdict:
    """Judge the Origin headers of a request.

    `values` are all Origin headers (a browser sends exactly one); `host` is the Host header of this gateway as the
    client sees it, None where it is not known, `secure` whether the client reached it by TLS; `missing` is "allow" or
    "deny" for a client that sends none. A header that is there and cannot be read is refused, never taken as absent.
    """
    if not values:
        if missing == "allow":
            return Verdict(True, "no Origin: not a browser")
        return Verdict(False, 'no Origin header, and [origins] missing is "deny"', 'missing = "allow"')
    if len(values) > 1:
        return Verdict(False, "more than one Origin header")
    value = values[0]
    if value == "null":
        if any(rule.null or rule.scheme is None for rule in rules):
            return Verdict(True, "null is allowed by the configuration")
        return Verdict(False, 'origin "null" (a sandboxed frame or a local file)', 'allow = ["null"]')
    try:
        origin = parse_origin(value)
    except ValueError as error:
        return Verdict(False, f"the Origin header is not readable: {error}")
    if host is not None and _same(origin, host, secure):
        return Verdict(True, "same origin")
    for rule in rules:
        if _follows(origin, rule):
            return Verdict(True, "allowed by the configuration")
    return Verdict(False, f"origin {origin} is not allowed here", f'allow = ["{origin}"]')
