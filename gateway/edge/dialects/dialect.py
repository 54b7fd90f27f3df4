"""What a dialect is: bytes of a client to commands, events to bytes. Pure."""

from typing import Protocol

from gateway.edge.commands import Command
from gateway.edge.events import Event
from gateway.errors import CommandError
from gateway.hub.audience import Subscription, Variant


class Dialect(Protocol):
    """One client's side of a dialect: stateless ones are shared by all, others are made per client.

    `name` is the subprotocol token; `wants_status` whether events that a bare client did not ask for are sent.
    """

    name: str

    def commands(self, data: bytes, *, text: bool) -> list[Command | CommandError]:
        """What one WebSocket message asks for, in order; a refused part stands as its error.

        Raises CloseConnection where the conversation cannot go on.
        """

    def event(self, event: Event) -> bytes:
        """The frames that say `event`; empty where this dialect has no word for it."""

    def variant(self, table: tuple[Subscription, ...]) -> Variant:
        """The encoding of messages for a client with this table of subscriptions; hashable."""
