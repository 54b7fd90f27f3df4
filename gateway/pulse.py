"""One pulse for everything periodic: an idle box wakes its processor once in it, not once for each thing. Pure."""

BEAT = 0.9  # seconds: what is promised within a second is seen and done within one


def until_beat(now: float, period: float = BEAT) -> float:
    """Seconds from `now` (monotonic) to the next multiple of `period`: timers of equal or manifold periods meet there.

    A timer that fires a hair too early is not called again for the same beat.
    """
    left = period - now % period
    return left if left > period / 10 else left + period
