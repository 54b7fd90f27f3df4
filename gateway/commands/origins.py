"""`origin-test URL`: is a page of that address let in, by which listener, and if not, which line would allow it."""

from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.config import Config
from gateway.config.addresses import endpoint
from gateway.edge.hosts import is_own
from gateway.edge.origin import DEFAULT_PORTS, Origin, check_origin, parse_origin, toml_line
from gateway.edge.rules import access_of, door_of
from gateway.edge.tls import certificate_facts
from gateway.errors import GatewayError


class Answer(NamedTuple):
    """What one listener says to a page."""

    listener: str
    allowed: bool
    reason: str
    remedy: str | None


def ask(config: Config, url: str) -> list[Answer]:
    """What every listener of `config` says to a page at `url` (or to the origin "null"). Raises GatewayError."""
    value = _origin_of(url)
    access = access_of(config)
    answers = []
    for listen in config.listen:
        names = [*door_of(listen).hosts]
        if listen.tls is not None:
            names += certificate_facts(listen.tls.certificate).names
        host = None
        if value != "null":
            origin = _parsed(value, url)
            if is_own(origin.host, names) and origin.port == listen.port:
                host = f"{origin.host}:{origin.port}"
        verdict = check_origin(
            [value], host=host, secure=listen.tls is not None, rules=access.rules, missing=access.missing
        )
        remedy = toml_line(verdict, access.allow)
        scheme = "wss" if listen.tls else "ws"
        answers += [
            Answer(f"{scheme}://{endpoint(address, listen.port)}", verdict.allowed, verdict.reason, remedy)
            for address in listen.address
        ]
    return answers


def _parsed(value: str, url: str) -> Origin:
    try:
        return parse_origin(value)
    except ValueError:
        raise _no_page(url) from None


def _no_page(url: str) -> GatewayError:
    return GatewayError(f'"{url}" is no address of a page: write it like https://panel.example.org')


def _origin_of(url: str) -> str:
    """The Origin header that a browser sends for a page at `url` (RFC 6454, 6.1)."""
    if url == "null" or url.startswith("file:"):
        return "null"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if not host or not parts.scheme:
            raise ValueError
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise _no_page(url) from None
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    usual = port is None or DEFAULT_PORTS.get(parts.scheme) == port
    return f"{parts.scheme}://{shown}{'' if usual else f':{port}'}"
