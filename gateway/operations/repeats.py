"""Keeps one event that happens over and over from filling the log. Pure but for the clock it is given.

The first records of an event pass, the others of the same minute are counted, and one line says how many there were.
"""

import logging
from collections.abc import Callable
from copy import copy

WINDOW = 60.0
BURST = 10
SETTLED = 5.0  # seconds of silence after which a subject's state counts as its newest
MOST = 500  # events watched at once


class _Event:
    __slots__ = ("at", "begun", "held", "last", "seen", "settles")

    def __init__(self, begun: float, *, settles: bool) -> None:
        self.begun = self.at = begun
        self.settles = settles
        self.seen = 0
        self.held = 0
        self.last: logging.LogRecord | None = None


class Repeats(logging.Filter):
    """Passes BURST records of one event in WINDOW seconds, or `burst` of its own; `say` takes the line that counts the
    rest.

    One event is one place in the code, for one `subject` where the record has one (`extra={"subject": …}`; names of the
    configuration and of who has signed in, never what strangers sent). A subject's states are one event whatever their
    level: the line that counts shows the newest, and comes as soon as it stays so. What was asked for by level "debug"
    is never held back.
    """

    def __init__(self, clock: Callable[[], float], say: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._clock = clock
        self._say = say
        self._events: dict[tuple[str, int, str], _Event] = {}
        self._next = clock() + 1.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG:
            return True
        now = self._clock()
        self.tick(now)
        key = (record.pathname, record.lineno, str(getattr(record, "subject", record.levelname)))
        event = self._events.get(key)
        if event is None:
            if len(self._events) >= MOST:
                self._tell(self._events.pop(next(iter(self._events))), now)
            event = self._events[key] = _Event(now, settles=hasattr(record, "subject"))
        event.seen += 1
        event.at = now
        if event.seen <= getattr(record, "burst", BURST):
            return True
        event.held += 1
        event.last = record
        return False

    def tick(self, now: float) -> None:
        """Say what was held back in windows that are over; called now and then, so that silence ends it as well."""
        if now < self._next:
            return
        self._next = now + 1.0
        for key, event in list(self._events.items()):
            if now - event.begun >= WINDOW:
                del self._events[key]
                self._tell(event, now)
            elif event.settles and now - event.at >= SETTLED:
                self._tell(event, now)

    def flush(self) -> None:
        """Say all that was held back."""
        events, self._events = list(self._events.values()), {}
        now = self._clock()
        for event in events:
            self._tell(event, now)

    def _tell(self, event: _Event, now: float) -> None:
        if event.last is None:
            return
        line = copy(event.last)
        times = f"the newest of {event.held:,} more in {min(WINDOW, now - event.begun):.0f} s"
        line.msg, line.args, line.exc_info = f"{event.last.getMessage()} … {times}", (), None
        if brief := getattr(line, "brief", ""):
            line.brief = f"{brief} … {times}"
        event.held, event.last = 0, None
        self._say(line)
