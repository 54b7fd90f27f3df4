"""The few messages of a turn, on their way to those who are alone in their audience.

Where everybody has chosen otherwise there are as many audiences as viewers. To leave a message with each of them for
the flush would touch a thousand objects; here it goes from the way's row of sends into the sockets. That pays as long
as hardly anybody gets two messages in the turn, which would go out in one write from there.
"""

from collections.abc import Callable
from operator import length_hint

from gateway.hub.audience import Audience
from gateway.hub.handing import DIRECT
from gateway.hub.message import Message
from gateway.hub.row import Send
from gateway.hub.volley import MOST, NOWHERE, Volley, outcome
from gateway.hub.way import Way

UNSETTLED = 1024  # ways at most whose counts are still to be booked: those that are forgotten are kept for it


class Lones:
    """`give` leaves a frame with an audience for the flush; `full` hears of each whose viewer's socket is full.

    `volley` sends to many at once, where it can.
    """

    __slots__ = ("_full", "_give", "_unsettled", "_volley")

    def __init__(
        self,
        *,
        give: Callable[[Audience, bytes, Message], None],
        full: Callable[[Audience], None],
        volley: Volley | None = None,
    ) -> None:
        self._give = give
        self._full = full
        self._volley = volley
        self._unsettled: list[Way] = []

    def serve(
        self, message: Message, routes: list[Way], clock: Callable[[], float], now: float, deadline: float
    ) -> None:
        """Hand out `message` by `routes`; `clock`, `now` and `deadline` are monotonic seconds.

        Nothing is dirty as it begins, so nothing older waits in an audience for them.
        """
        for way in routes:
            frame = way.encode(message)
            size = len(frame)
            audiences = way.audiences
            if not way.served:
                if len(self._unsettled) >= UNSETTLED:
                    self.settle()
                self._unsettled.append(way)
            way.served += 1
            way.served_at = now
            at = 0
            while at < len(audiences):
                if size > DIRECT or (at and clock() > deadline):
                    for audience in audiences[at:]:
                        self._defer(audience, frame, message)
                    break
                part = way.sends()[at : at + MOST]
                if self._volley is not None and len(audiences) - way.away >= self._volley.least:
                    self._fire(self._volley, way, at, part, frame, message)
                    at += len(part)
                    continue
                at += len(part)
                error: OSError | None = None
                rest = iter(part)
                try:
                    for send in rest:
                        taken = send(frame)
                        if taken != size:
                            break
                    else:
                        continue
                except OSError as caught:
                    taken, error = -1, caught
                at -= length_hint(rest)
                self._fall_behind(audiences[at - 1], frame, message, taken, error)

    def _fire(self, volley: Volley, way: Way, at: int, sends: list[Send], frame: bytes, message: Message) -> None:
        """Serve those of `way` from number `at` on by a volley, and by their `sends` whom it does not reach."""
        slots = way.slots[at : at + MOST]
        away = slots.count(NOWHERE) if way.away else 0
        exceptions = volley.fire(slots, frame)
        if not exceptions and not away:
            return
        audiences = way.audiences[at : at + MOST]
        for slot, result in exceptions:
            self._fall_behind(audiences[slots.index(slot)], frame, message, *outcome(result))
        place = -1
        for _ in range(away):
            place = slots.index(NOWHERE, place + 1)
            error: OSError | None = None
            try:
                taken = sends[place](frame)
            except OSError as caught:
                taken, error = -1, caught
            if taken != len(frame):
                self._fall_behind(audiences[place], frame, message, taken, error)

    def settle(self) -> None:
        """Book with every audience what its viewer was given: `delivered` and `sent_at` are right behind it."""
        for way in self._unsettled:
            way.settle()
        self._unsettled.clear()

    def _fall_behind(
        self, audience: Audience, frame: bytes, message: Message, taken: int, error: OSError | None
    ) -> None:
        """The lone viewer of `audience` took only `taken` bytes, or raised; -1 where there is none, or more waits."""
        if audience.lone is None or (taken < 0 and error is None):
            self._defer(audience, frame, message)
            return
        audience.behind(audience.lone, audience.batch([frame], [message], frame), taken, error)
        self._full(audience)

    def _defer(self, audience: Audience, frame: bytes, message: Message) -> None:
        """Give to the flush what the way has counted already."""
        audience.delivered -= 1
        self._give(audience, frame, message)
