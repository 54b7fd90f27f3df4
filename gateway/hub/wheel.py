"""One timer wheel for everything that waits for its time: one timer of the loop, however much waits. Pure."""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Protocol

GRAIN = 0.02  # seconds; what falls due within one grain comes in one turn


class Due(Protocol):
    """What waits on the wheel; `slot` is the wheel's own."""

    slot: int | None

    def due(self, now: float) -> None:
        """Its time has come."""


class Wheel:
    """`clock` is monotonic seconds; `later` runs a function after so many seconds."""

    def __init__(self, clock: Callable[[], float], later: Callable[[float, Callable[[], None]], object] | None) -> None:
        self._clock = clock
        self._later = later
        self._slots: dict[int, dict[Due, None]] = {}
        self._order: list[int] = []
        self._wake: float | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def add(self, item: Due, when: float) -> None:
        """Let `item` be due at `when`, never before; it must not wait already."""
        number = int(when / GRAIN) + 1
        item.slot = number
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
            heappush(self._order, number)
            self._ask()
        slot[item] = None

    def remove(self, item: Due) -> None:
        """Let `item` wait no more."""
        if item.slot is None:
            return
        slot = self._slots.get(item.slot)
        if slot is not None:
            slot.pop(item, None)
        item.slot = None

    def _turn(self, when: float) -> None:
        # Where something earlier came in between, another timer took this one's place.
        if when == self._wake:
            self._wake = None
            self.turn()

    def turn(self) -> None:
        """Call whatever is due by now."""
        now = self._clock()
        order = self._order
        while order and order[0] * GRAIN <= now:
            for item in self._slots.pop(heappop(order)):
                if item.slot is not None:
                    item.slot = None
                    item.due(now)
        self._ask()

    def _ask(self) -> None:
        order = self._order
        if not order or self._later is None:
            return
        when = order[0] * GRAIN
        if self._wake is None or when < self._wake:
            self._wake = when
            self._later(max(0.0, when - self._clock()), partial(self._turn, when))
