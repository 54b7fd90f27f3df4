"""A missed time reduced to a few points a topic. Pure."""

from collections.abc import Callable

from gateway.hub.ledger import Ledger
from gateway.hub.message import Message

HELD = 50_000  # messages held for one client; beyond it every topic gets half as many points


class Thinner:
    """Keeps of each topic the newest message of each of `points` equal parts of a span of time.

    `until` is Unix seconds; the span begins with the first message added. What is left out is booked in `ledger`, for
    a gap of the reason "interval": the client asked for it. Messages of which `told` says that the client has them are
    neither kept nor booked. Of the topics that are `whole` (presses, alarms) every message is kept, as far as there is
    room for them.
    """

    def __init__(
        self,
        points: int,
        *,
        until: float,
        told: Callable[[Message], bool],
        whole: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self.ledger = Ledger("interval")
        self._points = points
        self._until = until
        self._since: float | None = None
        self._told = told
        self._whole = whole
        self._kept: dict[tuple[str, int], Message] = {}
        self._presses: list[Message] = []

    def add(self, message: Message) -> None:
        """Take in the next message, in offset order."""
        if self._told(message):
            return
        if len(self._presses) < HELD and self._whole(message.topic):
            self._presses.append(message)
            return
        key = message.topic, self._part(message)
        before = self._kept.pop(key, None)
        if before is not None:
            self.ledger.add(before.topic, before.offset)
        self._kept[key] = message
        if len(self._kept) > HELD and self._points > 1:
            self._halve()

    def result(self) -> list[Message]:
        """What is kept, in offset order."""
        return sorted([*self._kept.values(), *self._presses], key=lambda message: message.offset)

    def _part(self, message: Message) -> int:
        stamp = message.timestamp
        if stamp is None:
            return 0
        if self._since is None:
            self._since = stamp
        span = self._until - self._since
        if span <= 0:
            return self._points - 1
        return max(0, min(self._points - 1, int((stamp - self._since) / span * self._points)))

    def _halve(self) -> None:
        messages, self._kept = sorted(self._kept.values(), key=lambda message: message.offset), {}
        self._points = max(1, self._points // 2)
        for message in messages:
            self.add(message)
