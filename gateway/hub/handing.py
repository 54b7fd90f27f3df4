"""Handing out along a row of viewers: in volleys, or one send each, in strides between which the clock is looked at."""

from collections.abc import Callable
from operator import length_hint
from typing import Protocol

from gateway.hub.batch import Batch
from gateway.hub.message import Message
from gateway.hub.row import Row, Viewer, held
from gateway.hub.volley import MOST, NOWHERE, Volley, outcome

STRIDE = 32  # viewers served between two looks at the clock
DIRECT = 64 * 1024  # bytes at most that go from here into a socket: more is for an outbox to portion


class Giver(Protocol):
    """The audience whose messages they are."""

    @property
    def volley(self) -> Volley | None:
        """What may send to many at once."""

    def batch(self, frames: list[bytes], messages: list[Message], blob: bytes | None) -> Batch:
        """What waits for whoever is behind."""

    def behind(self, viewer: Viewer, batch: Batch, taken: int, error: OSError | None) -> None:
        """`viewer` did not take the whole `batch`: only `taken` bytes (-1: nothing was offered), or `send` raised."""


class Pass:
    """A closed turn on its way along the row of those who were members then."""

    __slots__ = ("_at", "_batch", "_blob", "_frames", "messages", "row")

    def __init__(self, frames: list[bytes], messages: list[Message], row: Row) -> None:
        self.messages = messages
        self.row = row
        self._frames = frames
        self._blob = frames[0] if len(frames) == 1 else b"".join(frames)
        self._batch: Batch | None = None
        self._at = 0

    def run(self, giver: Giver, clock: Callable[[], float], deadline: float) -> bool:
        """Go on; False where it was `deadline` (monotonic seconds) before everybody was served."""
        while self._at < len(self.row.viewers):
            row, start = self.row, self._at
            end = min(start + (MOST if start < len(row.slots) else STRIDE), len(row.viewers))
            # Whoever leaves while this runs must find the pass beyond it.
            self._at = end
            self._batch = hand(giver, row, start, end, self._blob, self._frames, self.messages, self._batch)
            if self._at < len(self.row.viewers) and clock() > deadline:
                return False
        return True

    def leave(self, viewer: Viewer) -> bool:
        """Come by `viewer` no more; whether it was still to be served."""
        try:
            place = self.row.viewers.index(viewer)
        except ValueError:
            return False
        self.row = self.row.without(viewer)
        if place >= self._at:
            return True
        self._at -= 1
        return False

    def whole(self, giver: Giver) -> Batch:
        """The turn as one batch, for whoever has to wait for it."""
        self._batch = self._batch or giver.batch(self._frames, self.messages, self._blob)
        return self._batch


def hand(
    giver: Giver,
    row: Row,
    at: int,
    end: int,
    blob: bytes,
    frames: list[bytes],
    messages: list[Message],
    batch: Batch | None,
) -> Batch | None:
    """A volley, or one send each, for the viewers of `row` from `at` to `end`; `blob` is the `frames` joined.

    The batch comes into being with the first one that does not take all at once.
    """
    size = len(blob)
    volley, many = giver.volley, min(end, len(row.slots))
    if volley is not None and many - at >= volley.least and size <= DIRECT and row.sends is not None:
        slots, start, away = row.slots[at:many], at, row.away
        at = many
        for slot, result in volley.fire(slots, blob):
            batch = batch or giver.batch(frames, messages, blob)
            giver.behind(row.viewers[start + slots.index(slot)], batch, *outcome(result))
        place = -1
        for _ in range(slots.count(NOWHERE) if away else 0):
            place = slots.index(NOWHERE, place + 1)
            batch = batch or giver.batch(frames, messages, blob)
            giver.behind(row.viewers[start + place], batch, -1, None)
    while at < end:
        sends = row.sends
        if sends is not None and size <= DIRECT:
            part = sends[at:end]
        else:
            viewer = row.viewers[at]
            part = [held if viewer.queued or size > DIRECT else viewer.send]
        taken = -1
        error: OSError | None = None
        rest = iter(part)
        try:
            for send in rest:
                taken = send(blob)
                if taken != size:
                    break
            else:
                at += len(part)
                continue
        except OSError as caught:
            error = caught
        at += len(part) - length_hint(rest)
        batch = batch or giver.batch(frames, messages, blob)
        giver.behind(row.viewers[at - 1], batch, taken, error)
    return batch
