"""How a session reaches its client: every byte passes the client's outbox."""

from typing import Protocol

from gateway.hub.outbox import Outbox
from gateway.hub.rate import Pressure
from gateway.hub.row import Viewer


class Wire(Viewer, Protocol):
    """Where a session's frames go."""

    def deliver(self, frame: bytes) -> None:
        """Send a frame of this client's own, in its place behind what already waits."""

    def pressure(self) -> Pressure:
        """How the client took what it was sent since the last look."""


class Line(Wire, Protocol):
    """The connection as its session sees it."""

    def finish(self, code: int, reason: str) -> None:
        """Close politely once everything before has gone."""

    def abort(self, reason: str) -> None:
        """End at once."""

    def backlog(self) -> Outbox:
        """A further outbox under this client's bounds, for what waits for its acknowledgements."""
