"""When messages were heard, by their offsets: marks of the newest offset, set now and then. Pure."""

from bisect import bisect_left

MOST = 4096


class Marks:
    """Whatever has its offset when a mark is set was heard by then. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._times: list[float] = []

    def set(self, newest: int, now: float) -> None:
        """Every offset up to `newest` has been given."""
        if self._offsets and self._offsets[-1] == newest:
            return
        self._offsets.append(newest)
        self._times.append(now)
        if len(self._offsets) > MOST:
            # What is long ago need not be known to a second. The later mark of two stays: never too early.
            half = MOST // 2
            self._offsets[:half] = self._offsets[1:half:2]
            self._times[:half] = self._times[1:half:2]

    def heard_by(self, offset: int, now: float) -> float:
        """The time by which the message at `offset` had come, `now` where no mark was set since."""
        place = bisect_left(self._offsets, offset)
        return self._times[place] if place < len(self._times) else now
