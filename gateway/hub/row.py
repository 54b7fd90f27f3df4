"""A row: an audience's members, in the order in which they are served.

Beside each stands what it is given a message with: the `send` of its own socket, or `held` while its outbox comes
first. So serving those who keep up touches nothing of theirs but the socket: with a thousand of them every object
looked at is a miss of the processor's cache.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.hub.batch import Batch
from gateway.hub.ledger import Ledger

Send = Callable[[bytes], int]


def held(blob: bytes) -> int:
    """Stand in for the `send` of a viewer whose outbox comes first: takes nothing."""
    return -1


class Places(Protocol):
    """Where viewers stand: a list, or an Only."""

    def __setitem__(self, place: int, send: Send, /) -> None: ...


class Viewer(Protocol):
    """A client as the hub sees it: `queued` is true while its outbox holds anything."""

    @property
    def queued(self) -> bool:
        """Whether anything waits."""

    @property
    def send(self) -> Send:
        """The socket's own; raises OSError."""

    def stand(self, sends: Places, place: int) -> None:
        """Keep `sends[place]` at `send` from now on, and at `held` whenever anything waits; no other place."""

    def push(self, batch: Batch) -> None:
        """Take `batch` behind what already waits, or send it now."""

    def short(self, batch: Batch, taken: int) -> None:
        """`send` took only `taken` bytes of `batch`."""

    def owe(self, ledger: Ledger) -> None:
        """Tell the client, in its place behind what already waits, what it did not get."""

    def failed(self, batch: Batch, error: OSError) -> None:
        """`send` of the whole `batch` raised `error` (would block, or the connection is gone)."""


class Row:
    """`viewers`, and their `sends`; None where nobody keeps those up any more."""

    __slots__ = ("sends", "viewers")

    def __init__(self, viewers: Iterable[Viewer]) -> None:
        self.viewers = list(viewers)
        self.sends: list[Send] | None = None

    def align(self) -> None:
        """Have every viewer keep up its place in `sends`: in one row at a time, the last that was aligned."""
        sends = self.sends = [held] * len(self.viewers)
        for place, viewer in enumerate(self.viewers):
            viewer.stand(sends, place)

    def without(self, viewer: Viewer) -> "Row":
        """The same row less one."""
        return Row(other for other in self.viewers if other is not viewer)


class Stage(Protocol):
    """What has room for one viewer: its `send`, or `held`."""

    send: Send


class Only:
    """The one place of a `stage`, until the stage is given to others: what the viewer says then goes nowhere."""

    __slots__ = ("stage",)

    def __init__(self, stage: Stage) -> None:
        self.stage: Stage | None = stage

    def __setitem__(self, place: int, send: Send, /) -> None:
        if self.stage is not None:
            self.stage.send = send
