"""The way of one topic's messages to those for whom they look alike."""

from array import array
from collections.abc import Callable

from gateway.hub.audience import Audience
from gateway.hub.message import Message
from gateway.hub.row import Send, Turnover
from gateway.hub.volley import NOWHERE

Encode = Callable[[Message], bytes]


class Way:
    """`encode` makes the frame of a message, `audiences` get it.

    `served` messages went out by `sends` since the last `settle`, the newest at `served_at`. What each audience counts
    is booked then, for many messages at once: to look at a hundred audiences for each would be as many misses of the
    processor's cache.
    """

    __slots__ = ("_as_of", "_sends", "_turnover", "audiences", "away", "encode", "served", "served_at", "slots")

    def __init__(self, encode: Encode, turnover: Turnover) -> None:
        self.encode = encode
        self.audiences: list[Audience] = []
        self.served = 0
        self.served_at = 0.0
        self.slots = array("I")
        self.away = 0
        self._sends: list[Send] = []
        self._turnover = turnover
        self._as_of = -1

    def sends(self) -> list[Send]:
        """Beside each audience the `send` of its only member; `held` where it has others, or that one has to wait.

        Beside each of `slots`, too, which are those members' in the volley; `away` of them are NOWHERE.
        """
        if self._as_of != self._turnover.count:
            self._as_of = self._turnover.count
            self._sends = [audience.send for audience in self.audiences]
            self.slots = array("I", [audience.slot for audience in self.audiences])
            self.away = self.slots.count(NOWHERE)
        return self._sends

    def settle(self) -> None:
        """Book with the audiences what was served."""
        served, at = self.served, self.served_at
        self.served = 0
        for audience in self.audiences:
            audience.delivered += served
            if audience.sent_at < at:
                audience.sent_at = at
