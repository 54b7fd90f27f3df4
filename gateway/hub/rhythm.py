"""How often a topic speaks, learned from its own arrivals. Pure."""

from math import ceil

LEAST = 0.25  # seconds; arrivals that are closer count as one
SLOW = 1.0  # seconds between two arrivals from which on the next is not expected soon
SOONEST = 1.0  # seconds: nothing is called stale sooner
INTERVALS = 8
WINDOW = 20
SPREAD = 4.0  # p90 over p10: beyond it there is no rhythm
MISSED = 3
HOPELESS = 60  # arrivals without a rhythm, after which nobody looks for one for a while


class Rhythm:
    """Takes in arrivals, in monotonic seconds; `stale_after` is three missed intervals once there is a rhythm."""

    __slots__ = ("_arrivals", "_intervals", "_last")

    def __init__(self) -> None:
        self._intervals: list[float] = []
        self._last: float | None = None
        self._arrivals = 0

    @property
    def hopeless(self) -> bool:
        """Whether so many arrivals have shown no rhythm that there is none."""
        return self._arrivals >= HOPELESS

    @property
    def slow(self) -> bool:
        """Whether the last arrival was long after the one before."""
        return bool(self._intervals) and self._intervals[-1] >= SLOW

    def arrived(self, now: float) -> float | None:
        """Count an arrival; `stale_after` in seconds as soon as the intervals are regular, None before."""
        last = self._last
        if last is not None and now - last < LEAST:
            return None
        self._last = now
        if last is None:
            return None
        self._arrivals += 1
        intervals = self._intervals
        intervals.append(now - last)
        if len(intervals) > WINDOW:
            del intervals[0]
        if len(intervals) < INTERVALS:
            return None
        ranked = sorted(intervals)
        low, high = ranked[ceil(len(ranked) * 0.1) - 1], ranked[ceil(len(ranked) * 0.9) - 1]
        return max(SOONEST, MISSED * high) if high < SPREAD * low else None
