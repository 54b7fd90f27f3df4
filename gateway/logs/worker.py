"""A thread that does one thing after another and hands each result back to the loop."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("gateway.history")

Work = Callable[[], Any]
Done = Callable[[Any, Exception | None], None]


class Worker:
    """Made anywhere; `submit` and `stop` are called on the loop, whose `call_soon_threadsafe` is `hand_back`.

    The thread begins with the first piece of work. `busy_since` is monotonic seconds, None while it has nothing to do:
    the watchdog sees by it whether it is stuck.
    """

    def __init__(self, name: str, hand_back: Callable[[Callable[[], None]], object]) -> None:
        self.name = name
        self.busy_since: float | None = None
        self.waiting = 0
        self._hand_back = hand_back
        self._work: queue.SimpleQueue[tuple[Work, Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread is there, or was not needed yet."""
        return self._thread is None or self._thread.is_alive()

    def submit(self, work: Work, done: Done) -> None:
        """Do `work` in the thread; then `done(result, None)` or `done(None, error)` on the loop."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        self.waiting += 1
        self._work.put((work, done))

    def stop(self, seconds: float) -> bool:
        """Let it finish what was submitted; whether it did within `seconds`. No `done` is called any more."""
        if self._thread is None:
            return True
        self._work.put(None)
        self._thread.join(seconds)
        ended = not self._thread.is_alive()
        self._thread = None
        return ended

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            work, done = item
            self.busy_since = time.monotonic()
            result, failure = None, None
            try:
                result = work()
            except Exception as error:
                # Whatever it was: the one who asked must hear of it, and the thread must live on.
                failure = error
            self.busy_since = None
            try:
                self._hand_back(lambda d=done, r=result, f=failure: self._done(d, r, f))  # type: ignore[misc]
            except RuntimeError:
                return  # the loop has ended, and with it whoever waited

    def _done(self, done: Done, result: Any, failure: Exception | None) -> None:
        self.waiting -= 1
        if self._thread is not None:
            done(result, failure)
