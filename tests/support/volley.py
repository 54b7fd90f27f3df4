"""A volley over viewers in memory: what it says is what their own `send` says."""

import errno
from array import array
from collections.abc import Iterable
from typing import Any

from gateway.hub.volley import NOWHERE


class Volley:
    """Counts in `fired` how often it was used; knows its viewers by `place`."""

    least = 1

    def __init__(self) -> None:
        self.fired = 0
        self._viewers: list[Any] = [None]

    def place(self, viewer: Any) -> None:
        """Give `viewer` a slot."""
        viewer.slot = len(self._viewers)
        self._viewers.append(viewer)

    def fire(self, slots: "array[int]", blob: bytes) -> Iterable[tuple[int, int]]:
        self.fired += 1
        exceptions = []
        for slot in slots:
            if slot == NOWHERE:
                continue
            try:
                taken = self._viewers[slot].send(blob)
            except OSError as error:
                taken = -(error.errno or errno.EAGAIN)
            if taken != len(blob):
                exceptions.append((slot, taken))
        return exceptions
