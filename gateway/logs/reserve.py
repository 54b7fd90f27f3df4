"""The offsets that may be given: reserved ahead, in a thread of its own, so that nobody waits for a disk.

Where a disk hangs for so long that all that was reserved is used up, what follows belongs to another epoch, that of
this run alone: nothing that a crash leaves on disk can make another run give those names again.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.logs.offsets import RESERVE, WITHOUT_END, Offsets
from gateway.logs.worker import Later, Worker

logger = logging.getLogger("gateway.history")

AHEAD = 600.0  # seconds for which offsets are reserved, at the rate at which they go
MOST = 1 << 28  # of them at once
BRIEFLY = 1.0  # seconds for which messages that wait for a disk that fails wait for this one, too
AGAIN = 5.0  # seconds between two looks whether the disk takes them again
MOMENT = 0.5  # seconds that the loop waits at most, where a burst is faster than a disk that works


class Reserve:
    """`epoch` and `limit`, the newest offset that may be given under it; whoever needs more than `ask_at` has to `ask`.

    `parted` is called once the epoch is another one, before an offset is given under it. What `offsets` reserves is
    asked for on the loop, whose `call_soon_threadsafe` is `hand_back`, and its `call_later` `later`.
    """

    def __init__(
        self,
        offsets: Offsets,
        *,
        hand_back: Callable[[Callable[[], None]], object],
        later: Later,
        parted: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epoch = ""
        self.limit = 0
        self.ask_at = 0
        self.worker = Worker("history-offsets", hand_back)
        self._offsets = offsets
        self._parted = parted
        self._clock = clock
        self._asking = False
        self._works = False
        self._try_at = float("-inf")
        self._asked = 0
        self._asked_at = 0.0
        self._later = later
        self._loosening: Any = None
        self._over = threading.Event()
        self._landed = 0

    def begin(self, epoch: str, newest: int, limit: int) -> None:
        """A run that goes on after `newest`; up to `limit` is reserved."""
        self.epoch, self.limit = epoch, limit
        self._asked, self._asked_at = newest, self._clock()
        self.ask_at = WITHOUT_END if limit == WITHOUT_END else (newest + limit) // 2

    def ask(self, used: int) -> None:
        """All up to `used` is about to be given: have more reserved, or go on in an epoch of this run's own."""
        if not self._asking:
            now = self._clock()
            rate = (used - self._asked) / max(now - self._asked_at, 1e-3)
            self._submit(used, min(max(RESERVE, int(rate * AHEAD)), MOST), now)
        if used > self.limit:
            if self._over.wait(MOMENT):
                self.limit = max(self.limit, self._landed)
            if used > self.limit:
                self.part("the disk has not answered in time")

    def part(self, why: object) -> None:
        """From now on offsets have an epoch of their own, of which nothing is on disk: none of them has to be reserved.

        It ends with this run, unless `settle` has it written down.
        """
        logger.warning("history: offsets cannot be reserved: %s; going on in another epoch, clients come back", why)
        self.epoch = secrets.token_hex(4)
        self.limit = self.ask_at = WITHOUT_END
        self._parted()

    def loosen(self, done: Callable[[], None]) -> None:
        """Have it written down that this run hands on what is not stored, or part where that takes too long."""
        if self._loosening is not None:
            return

        def over() -> None:
            if self._loosening is not None:
                self._loosening.cancel()
                self._loosening = None
                done()

        def late() -> None:
            self.part("the disk has not answered in time")
            over()

        def written(result: object, failure: Exception | None) -> None:
            if failure is not None and self._loosening is not None:
                self.part(failure)
            over()

        self._loosening = self._later(BRIEFLY, late)
        self.worker.submit(self._offsets.inexact, written)

    def settle(self, given: int) -> None:
        """The history is stored again: have the epoch written down where it is not yet. To be called now and then.

        It may be on disk at any moment from the first attempt on, whether or not anybody hears of that: its offsets end
        where that reserves them. So there is none before the disk has taken what it has already.
        """
        if self.limit < WITHOUT_END or self._asking:
            return
        now = self._clock()
        if self._works:
            self._works = False
            self.limit, self.ask_at = given + RESERVE, given + RESERVE // 2
            self._submit(given, RESERVE, now)
        elif now >= self._try_at:
            self._asking = True
            self._try_at = now + AGAIN
            self.worker.submit(self._offsets.rewrite, self._tried)

    def _tried(self, result: object, failure: Exception | None) -> None:
        self._asking = False
        self._works = failure is None

    def _submit(self, used: int, size: int, now: float) -> None:
        self._asking = True
        self._asked, self._asked_at = used, now
        self._over.clear()
        self._landed = 0
        self.worker.submit(
            partial(self._reserve, used, self.epoch, size), partial(self._answered, used, self.epoch, size)
        )

    def _reserve(self, used: int, epoch: str, size: int) -> None:
        """In the thread. Raises OSError."""
        try:
            self._offsets.reserve(used, epoch, size)
            self._landed = used + size
        finally:
            self._over.set()

    def _answered(self, used: int, epoch: str, size: int, result: object, failure: Exception | None) -> None:
        self._asking = False
        if epoch != self.epoch:
            return  # it was too late
        if failure is None:
            self.limit = max(self.limit, used + size)
            self.ask_at = used + size // 2
        else:
            logger.warning("history: offsets cannot be reserved: %s; %d are left", failure, self.limit - used)
            self.ask_at = (max(self.ask_at, used) + self.limit) // 2
