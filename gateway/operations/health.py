"""Whether the data path is healthy, part by part; the watchdog of systemd hears of us only while it is.

A broker that is away is nobody's fault here. A loop that is late, an outbox turn that never ends, a history thread
that is dead and a link that says "connected" while nothing comes back are.
"""

import asyncio
import logging
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable

from gateway.operations.notify import Notifier
from gateway.pulse import BEAT, until_beat

log = logging.getLogger("gateway")

LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Check = Callable[[], str | None]


class Histogram:
    """Counts of values by upper bound (the last bucket has none), and their sum. Plain numbers, read at scrape."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Progress:
    """Says what is wrong once something that has work to do has not moved for `limit` seconds.

    `waiting` tells whether there is work, `moved` is a number that changes whenever some of it is done.
    """

    def __init__(
        self, what: str, waiting: Callable[[], bool], moved: Callable[[], int], clock: Callable[[], float], limit: float
    ) -> None:
        self._what = what
        self._waiting = waiting
        self._moved = moved
        self._clock = clock
        self._limit = limit
        self._at = moved()
        self._since = clock()

    def __call__(self) -> str | None:
        now, at = self._clock(), self._moved()
        if at != self._at or not self._waiting():
            self._at, self._since = at, now
        stuck = now - self._since
        return f"{self._what} has not moved for {stuck:.0f} s" if stuck > self._limit else None


class Health:
    """Runs on the loop: measures its lag, asks the checks, feeds the watchdog. `checks` by the name of the part."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        status: Callable[[], str],
        checks: dict[str, Check] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lag = Histogram(LAG_BUCKETS)
        self.checks = checks or {}
        self.faults: dict[str, str] = {}
        self.beaten_at = clock()
        self._notifier = notifier
        self._status = status
        self._clock = clock
        # Three words in the time for one: a late loop is no dead loop.
        self._interval = (notifier.watchdog or 30.0) / 3
        self._limit = (notifier.watchdog or 30.0) / 2
        self._beat = min(BEAT, self._interval / 2)
        self._fed_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            due = self._clock()
            due += (wait := until_beat(due, self._beat))
            await asyncio.sleep(wait)
            now = self._clock()
            late = max(0.0, now - due)
            self.lag.observe(late)
            self.beaten_at = now
            self.look(late)

    def look(self, late: float = 0.0) -> None:
        """One look: `late` is by how many seconds the loop came too late just now."""
        found = {name: fault for name, check in self.checks.items() if (fault := _ask(check))}
        if late > self._limit:
            found["loop"] = f"the event loop was blocked for {late:.1f} s"
        for name in found.keys() - self.faults.keys():
            log.error("unhealthy: %s: %s", name, found[name])
        for name in self.faults.keys() - found.keys():
            log.info("healthy again: %s", name)
        self.faults = found
        words = "; ".join(f"UNHEALTHY {name}: {fault}" for name, fault in found.items())
        self._notifier.status(words or self._status())
        now = self._clock()
        if self._notifier.watchdog is not None and not found and now - self._fed_at >= self._interval:
            self._fed_at = now
            self._notifier.alive()


def _ask(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:
        log.exception("a health check failed")
        return f"its check failed: {error}"


class Sentry(threading.Thread):
    """Sees from outside that the loop stands still, and says where: the loop itself cannot."""

    def __init__(
        self, health: Health, notifier: Notifier, *, limit: float, clock: Callable[[], float] = time.monotonic
    ):
        super().__init__(name="sentry", daemon=True)
        self._health = health
        self._notifier = notifier
        self._limit = limit
        self._clock = clock
        self._loop_thread = threading.get_ident()
        self._over = threading.Event()

    def run(self) -> None:
        told = False
        while not self._over.wait(self._limit / 4):
            stuck = self._clock() - self._health.beaten_at
            if stuck < self._limit:
                told = False
            elif not told:
                told = True
                words = f"the event loop has been blocked for {stuck:.0f} s, at {self._where()}"
                log.critical("unhealthy: loop: %s", words)
                self._notifier.status(f"UNHEALTHY loop: {words}")

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self.join()

    def _where(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return "a place unknown"
        return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
