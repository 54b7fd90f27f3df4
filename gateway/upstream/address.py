"""Where a broker is, read from its url."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


class Address(NamedTuple):
    """A broker's place: `host` and `port`, or `path` of a Unix socket; for WebSocket `path` is the request's."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def tls(self) -> bool:
        return self.scheme in ("mqtts", "wss")

    @property
    def websocket(self) -> bool:
        return self.scheme in ("ws", "wss")


def parse(url: str) -> Address:
    """Read `mqtt://host:1883`, `mqtts://`, `ws://host/mqtt`, `wss://`, `unix:///run/broker.sock`.

    Raises ValueError for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix" and parts.path:
        return Address(url, "unix", "", 0, unquote(parts.path))
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"no address of a broker: {url!r}; expected mqtt, mqtts, ws, wss or unix")
    path = parts.path if parts.path not in ("", "/") else "/mqtt"
    return Address(url, parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], path)
