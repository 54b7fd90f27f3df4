"""What one listener asks of whoever comes in by it."""

import msgspec

from gateway.edge.forwarded import Network


class Door(msgspec.Struct, frozen=True):
    """The rules of one `[[listen]]`.

    `anonymous` overrides the general one (None: it does not). `hosts` are the names of this gateway there; `proxies`
    are believed about whom they speak for, with `proxy_protocol` by a header before everything else. With `metrics`
    the figures need no sign-in. `dialects` are the kinds spoken (native, stomp, mqtt, socketio, sse), None: all.
    """

    anonymous: str | None = None
    hosts: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    proxy_protocol: bool = False
    metrics: bool = False
    dialects: frozenset[str] | None = None

    def speaks(self, kind: str) -> bool:
        """Whether a kind of dialect is spoken here."""
        return self.dialects is None or kind in self.dialects
