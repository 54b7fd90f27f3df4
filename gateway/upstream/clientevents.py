"""What a client tells the conversation that it serves."""

from collections.abc import Sequence
from typing import Any, Protocol


class Events(Protocol):
    """Each is called as it happens, on the loop. Nothing comes after `lost` until the next `open`."""

    def connack(self, code: Any, session_present: bool, properties: Any) -> None:
        """The broker accepted the connection, or refused it (`code.is_failure`); then `lost` follows."""

    def suback(self, mid: int, codes: Sequence[Any]) -> None:
        """The broker answered a SUBSCRIBE."""

    def published(self, mid: int, failure: str | None) -> None:
        """The broker has a message (QoS 0: the socket has it), or refused it."""

    def probe(self, payload: bytes) -> None:
        """The link's own probe came round."""

    def lost(self, reason: str, code: int | None) -> None:
        """The connection is over; `code` is the reason code of the broker's DISCONNECT, where it sent one."""
