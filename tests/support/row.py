"""Viewers for the hub that have no outbox of their own to tell them when they are behind."""

from typing import Any

from gateway.hub.row import Places, held


class InRow:
    """`queued` may be set; keeps its place in the row that it stood in last, and in no other."""

    send: Any
    slot = 0
    _queued = False
    _sends: Places | None = None
    _place = 0

    @property
    def queued(self) -> bool:
        return self._queued

    @queued.setter
    def queued(self, queued: bool) -> None:
        self._queued = queued
        if self._sends is not None:
            self._sends[self._place] = held if queued else self.send

    @property
    def placed(self) -> bool:
        """Whether it has a place in a row."""
        return self._sends is not None

    def stand(self, sends: Places, place: int) -> None:
        self._sends, self._place = sends, place
        self.queued = self._queued
