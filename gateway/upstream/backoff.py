"""How long to wait before the next try. Pure: no clock, randomness handed in."""

import random
from collections.abc import Callable

SLOW_FACTOR = 2.0
SLOW_LONGEST = 30.0


class Backoff:
    """Decorrelated jitter: each wait is drawn between `minimum` and three times the one before, at most `maximum`.

    Many gateways that lost one broker at the same moment therefore do not come back at the same moment. Seconds.
    """

    def __init__(
        self, minimum: float, maximum: float, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._uniform = uniform
        self._last = minimum
        self._slow = 0.0

    def next(self) -> float:
        """The wait before the next try."""
        self._last = min(self._maximum, self._uniform(self._minimum, max(self._minimum, self._last * 3)))
        return self._last

    def next_slow(self) -> float:
        """The wait where trying soon is useless: bad credentials, not allowed, another client with our id.

        Starts at twice `maximum` and doubles up to thirty times `maximum`: by default 1 to 15 minutes.
        """
        self._slow = min(self._maximum * SLOW_LONGEST, (self._slow or self._maximum) * SLOW_FACTOR)
        return self._uniform(self._slow / SLOW_FACTOR, self._slow)

    def reset(self) -> None:
        """The link has been stable: the next wait is a short one again."""
        self._last = self._minimum
        self._slow = 0.0
