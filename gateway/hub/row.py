"""A row: an audience's members, in the order in which they are served.

Beside each stands what it is given a message with: the `send` of its own socket, or `held` while its outbox comes
first. So serving those who keep up touches nothing of theirs but the socket: with a thousand of them every object
looked at is a miss of the processor's cache. Those whose sockets a volley can reach stand first, with their slots.
"""

from array import array
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.hub.batch import Batch
from gateway.hub.ledger import Ledger
from gateway.hub.volley import NOWHERE

Send = Callable[[bytes], int]


def held(blob: bytes) -> int:
    """Stand in for the `send` of a viewer whose outbox comes first: takes nothing."""
    return -1


class Places(Protocol):
    """Where viewers stand: a Row, or an Only."""

    def __setitem__(self, place: int, send: Send, /) -> None: ...


class Viewer(Protocol):
    """A client as the hub sees it: `queued` is true while its outbox holds anything."""

    @property
    def queued(self) -> bool:
        """Whether anything waits."""

    @property
    def send(self) -> Send:
        """The socket's own; raises OSError."""

    @property
    def slot(self) -> int:
        """Its socket's in the volley, NOWHERE where it has none."""

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
    """`viewers`, and their `sends`; None where nobody keeps those up any more.

    The first of them have `slots` in the volley, NOWHERE while they are `held`; `away` is how many are.
    """

    __slots__ = ("away", "sends", "slots", "viewers")

    def __init__(self, viewers: Iterable[Viewer]) -> None:
        self.viewers = list(viewers)
        self.sends: list[Send] | None = None
        self.slots = array("I")
        self.away = 0

    def __setitem__(self, place: int, send: Send, /) -> None:
        if self.sends is None:
            return
        self.sends[place] = send
        if place < len(self.slots):
            slot = NOWHERE if send is held else self.viewers[place].slot
            self.away += (slot == NOWHERE) - (self.slots[place] == NOWHERE)
            self.slots[place] = slot

    def align(self) -> None:
        """Have every viewer keep up its place in `sends`: in one row at a time, the last that was aligned."""
        self.viewers.sort(key=lambda viewer: viewer.slot == NOWHERE)
        self.sends = [held] * len(self.viewers)
        self.away = sum(viewer.slot != NOWHERE for viewer in self.viewers)
        self.slots = array("I", [NOWHERE]) * self.away
        for place, viewer in enumerate(self.viewers):
            viewer.stand(self, place)

    def without(self, viewer: Viewer) -> "Row":
        """The same row less one."""
        return Row(other for other in self.viewers if other is not viewer)


class Stage(Protocol):
    """What has room for one viewer, the `lone` one: its `send` and `slot`, or `held` and NOWHERE."""

    lone: Viewer | None
    send: Send
    slot: int


class Turnover:
    """Counts how often a viewer that is alone with what it asked for came, went, had to wait or had to no more."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Only:
    """The one place of a `stage`, until the stage is given to others: what the viewer says then goes nowhere."""

    __slots__ = ("_turnover", "stage")

    def __init__(self, stage: Stage, turnover: Turnover) -> None:
        self.stage: Stage | None = stage
        self._turnover = turnover

    def __setitem__(self, place: int, send: Send, /) -> None:
        if self.stage is not None:
            lone = self.stage.lone
            self.stage.send = send
            self.stage.slot = NOWHERE if lone is None or send is held else lone.slot
            self._turnover.count += 1
