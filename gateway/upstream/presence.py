"""Birth and last will: what the gateway says of itself to a broker, where `status` asks for it."""

import asyncio

from gateway.upstream.publishing import Terms
from gateway.upstream.session import Session

BIRTH_GRACE = 2.0
"""Seconds after the birth message in which the end of the connection is laid to it."""

ONLINE, OFFLINE = "online", "offline"


class Presence:
    """`topic` is empty where the gateway says nothing; `{name}` in it is the gateway's name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: Session, status: str, gateway: str) -> None:
        self.topic = status.replace("{name}", gateway)
        self._loop = loop
        self._session = session
        self._terms = Terms()
        self._birth: float | None = None

    @property
    def will(self) -> tuple[str, bytes] | None:
        """Topic and payload for CONNECT: the broker says it where we cannot."""
        return (self.topic, OFFLINE.encode()) if self.topic else None

    def born(self, terms: Terms) -> None:
        """The connection stands: say so, the way the broker takes it."""
        self._terms = terms
        self._say(ONLINE)
        self._birth = self._loop.time() if self.topic else None

    def leave(self) -> None:
        """The gateway ends: say so before DISCONNECT, after which the broker would not."""
        self._say(OFFLINE)

    def lost(self) -> None:
        """The connection is over."""
        self._birth = None

    def is_to_blame(self) -> bool:
        """Whether the broker closed so soon after the birth message that it may not have liked it."""
        return self._birth is not None and self._loop.time() - self._birth < BIRTH_GRACE

    def _say(self, text: str) -> None:
        if self.topic and self._session.connected:
            self._session.publish(self.topic, text.encode(), min(1, self._terms.maximum_qos), self._terms.retain)
