"""What can send the same bytes into many sockets for less than a send for each."""

import os
from array import array
from collections.abc import Iterable
from typing import Protocol

MOST = 128  # slots at a time: then the clock is looked at
NOWHERE = 0  # the slot of whoever is not in it


class Volley(Protocol):
    """Knows sockets by their slots; what is sent to NOWHERE goes nowhere.

    `least` is the number of viewers below which a send for each costs less.
    """

    @property
    def least(self) -> int: ...

    def fire(self, slots: "array[int]", blob: bytes) -> Iterable[tuple[int, int]]:
        """Send `blob` to each of `slots`, MOST of them at most.

        Returns those that did not take all of it: the slot, and the bytes that it took, or an errno below zero.
        """


def outcome(result: int) -> tuple[int, OSError | None]:
    """What a `send` would have said: the bytes taken, or -1 and its error."""
    return (result, None) if result >= 0 else (-1, OSError(-result, os.strerror(-result)))
