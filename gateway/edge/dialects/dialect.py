"""What a dialect is: bytes of a client to commands, events to bytes. Pure."""

from typing import Protocol

from gateway.edge.commands import Command
from gateway.edge.dialects.window import Window
from gateway.edge.events import Event
from gateway.errors import CloseConnection, CommandError
from gateway.hub.subscription import Subscription, Variant

Spoken = Command | CommandError | CloseConnection | bytes
"""What a client's words come to: a command, a refused part as its error, the end of the conversation, or the bytes by
which the dialect answers by itself."""


class Dialect(Protocol):
    """One client's side of a dialect: stateless ones are shared by all, others are made per client.

    `name` is the subprotocol token. `queries`: `?topic=` in the address subscribes. `copies`: each subscription has its
    own copy of a message, marked with whose it is; otherwise a message that several match is sent once. `ended` is set
    by `event` where the conversation is over behind its bytes. `window` is there once frames have to be acknowledged.
    `beats`: `beat` has something to do every second.
    """

    name: str
    queries: bool
    copies: bool
    beats: bool

    @property
    def ended(self) -> CloseConnection | None:
        """Why the conversation is over, None while it goes on."""

    @property
    def window(self) -> Window | None:
        """What this client has to acknowledge; from then on it is served alone."""

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        """What one WebSocket message asks for, in order.

        Raises CloseConnection where nothing in it can be made out.
        """

    def event(self, event: Event) -> bytes:
        """The frames that say `event`; empty where this dialect has no word for it."""

    def variant(self, table: tuple[Subscription, ...]) -> Variant:
        """The encoding of messages for a client with this table of subscriptions; hashable."""

    def farewell(self, end: CloseConnection) -> bytes:
        """The frames that say why the gateway ends the conversation; empty where that is said already, or by the close
        code alone. Once at most, and last.
        """

    def beat(self, now: float) -> bytes:
        """The dialect's own signs of life, where it has them: then it is called every second (monotonic, `now`).

        Raises CloseConnection where the client has been silent for longer than the dialect allows.
        """


class Shared:
    """What a dialect without state of a client's own has nothing to say about."""

    queries = True
    copies = False
    beats = False
    ended: CloseConnection | None = None
    window: Window | None = None

    def farewell(self, end: CloseConnection) -> bytes:
        return b""

    def beat(self, now: float) -> bytes:
        return b""
