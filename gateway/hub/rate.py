"""The self-tuning rate of one client in mode "latest": its interval goes up fast and comes down slowly. Pure."""

from typing import NamedTuple

STEPS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Intervals in seconds; few, so that slow clients share their audiences."""

LOOKS = 2  # in a row at which a client is behind before anything happens: a burst fills a socket for a moment
LEAP = 3  # steps at once, at most
CALM = 10.0  # seconds without a queue before the next step down
LONGEST_CALM = 300.0


class Pressure(NamedTuple):
    """How a client took what it was sent since the last look.

    `behind`: something waits, or was merged or dropped; `waiting` and `taken` are bytes, the latter by a socket that
    was full.
    """

    behind: bool
    waiting: int = 0
    taken: int = 0


class Rate:
    """`interval` in seconds is what is in force now, `reason` why, in words."""

    __slots__ = ("_behind", "_calm", "_calm_since", "_looked_at", "_lowered_at", "_step", "reason")

    def __init__(self, now: float) -> None:
        self.reason = ""
        self._step = 0
        self._behind = 0
        self._calm = CALM
        self._calm_since = now
        self._looked_at = now
        self._lowered_at: float | None = None

    @property
    def interval(self) -> float:
        return STEPS[self._step]

    def look(self, pressure: Pressure, now: float) -> bool:
        """About once a second; whether the interval has changed."""
        passed, self._looked_at = now - self._looked_at, now
        if not pressure.behind:
            self._behind = 0
            return self._lower(now)
        self._calm_since = now
        self._behind += 1
        if self._behind < LOOKS or self._step == len(STEPS) - 1:
            return False
        self._raise(pressure, passed, now)
        return True

    def _raise(self, pressure: Pressure, passed: float, now: float) -> None:
        if self._lowered_at is not None and now - self._lowered_at <= 3 * CALM:
            # The step down was one too many: wait longer before the next.
            self._calm = min(2 * self._calm, LONGEST_CALM)
        self._lowered_at = None
        step = self._step + 1
        drain = pressure.taken / passed if passed > 0 else 0.0
        if drain:
            # A round of newest values takes so long on this link; a shorter interval would never drain.
            needed = pressure.waiting / drain
            while step < min(len(STEPS) - 1, self._step + LEAP) and STEPS[step] < needed:
                step += 1
        else:
            step = min(len(STEPS) - 1, self._step + LEAP)
        self._step = step
        self.reason = f"the connection takes {drain / 1024:.1f} KiB/s" if drain else "the connection takes nothing"

    def _lower(self, now: float) -> bool:
        if not self._step or now - self._calm_since < self._calm:
            return False
        self._step -= 1
        self._calm_since = self._lowered_at = now
        if not self._step:
            self._calm = CALM
        self.reason = "the connection keeps up"
        return True
