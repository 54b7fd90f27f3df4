"""Keeps one event that happens over and over from filling the log. Pure but for the clock it is given.

The first records of an event pass, the others of the same minute are counted, and one line says how many there were.
"""

import logging
from collections.abc import Callable
from copy import copy

WINDOW = 60.0
BURST = 10
MOST = 500  # events watched at once


class _Event:
    __slots__ = ("begun", "held", "last", "seen")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.seen = 0
        self.held = 0
        self.last: logging.LogRecord | None = None


class Repeats(logging.Filter):
    """Passes BURST records of one event in WINDOW seconds; `say` takes the line that counts the rest.

    One event is one place in the code. The audit is never held back, nor is what was asked for by level "debug".
    """

    def __init__(self, clock: Callable[[], float], say: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._clock = clock
        self._say = say
        self._events: dict[tuple[str, int, str], _Event] = {}
        self._next = clock() + WINDOW

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG or record.name == "gateway.audit":
            return True
        now = self._clock()
        self.tick(now)
        key = (record.pathname, record.lineno, record.levelname)
        event = self._events.get(key)
        if event is None:
            if len(self._events) >= MOST:
                self._tell(self._events.pop(next(iter(self._events))))
            event = self._events[key] = _Event(now)
        event.seen += 1
        if event.seen <= BURST:
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
                self._tell(event)

    def flush(self) -> None:
        """Say all that was held back."""
        events, self._events = list(self._events.values()), {}
        for event in events:
            self._tell(event)

    def _tell(self, event: _Event) -> None:
        if event.last is None:
            return
        line = copy(event.last)
        times = f"{event.held:,} more times in {WINDOW:.0f} s"
        line.msg, line.args, line.exc_info = f"{event.last.getMessage()} … {times}", (), None
        self._say(line)
