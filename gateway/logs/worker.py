"""A thread that does one thing after another and hands each result back to the loop."""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from gateway.errors import GatewayError

logger = logging.getLogger("gateway.history")

PATIENCE = 10.0
"""Seconds after which a disk that does not answer counts as one that fails."""

Work = Callable[[], Any]
Done = Callable[[Any, Exception | None], None]
Later = Callable[[float, Callable[[], None]], Any]


class Unanswered(GatewayError):
    """The thread has been at one thing for too long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the disk has not answered for {seconds:g} s")


class Worker:
    """Made anywhere; all but `busy_since` is for the loop, whose `call_soon_threadsafe` is `hand_back`.

    The thread begins with the first piece of work. `busy_since` is monotonic seconds, None while it has nothing to do.
    With `later` (the loop's `call_later`) it is watched: once it has been at one thing for `patience` seconds, `stuck`
    is set and `hangs` called. A thread cannot be ended: what it is at goes on, and its result is handed back after all.
    Where it `gives_up`, whoever waits, or comes until it is done with that, is answered with Unanswered instead.
    """

    def __init__(
        self,
        name: str,
        hand_back: Callable[[Callable[[], None]], object],
        *,
        later: Later | None = None,
        patience: float = PATIENCE,
        gives_up: bool = False,
    ) -> None:
        self.name = name
        self.busy_since: float | None = None
        self.patience = patience
        self.stuck = False
        self.hangs: Callable[[], None] = lambda: None
        self._hand_back = hand_back
        self._later = later
        self._gives_up = gives_up
        self._watch: Any = None
        self._numbers = itertools.count()
        self._pending: dict[int, Done] = {}
        self._work: queue.SimpleQueue[tuple[int, Work] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread is there, or was not needed yet."""
        return self._thread is None or self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How much was submitted and is not done."""
        return len(self._pending)

    def submit(self, work: Work, done: Done) -> None:
        """Do `work` in the thread; then `done(result, None)` or `done(None, error)` on the loop."""
        self._begin()
        number = next(self._numbers)
        self._pending[number] = done
        if self.stuck and self._gives_up:
            self._hand_back(lambda: self._settle(number, None, Unanswered(self.patience)))
            return
        if self._later is not None and self._watch is None:
            self._watch = self._later(self.patience, self._look)
        self._work.put((number, work))

    def wait(self, work: Work, seconds: float) -> Any:
        """Do `work` in the thread and wait for its result. Raises Unanswered, and whatever `work` raises."""
        self._begin()
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

        def answer() -> None:
            try:
                answers.put((work(), None))
            except Exception as error:
                answers.put((None, error))  # raised below: it is for the one who waits

        number = next(self._numbers)
        self._pending[number] = lambda result, failure: None
        self._work.put((number, answer))
        try:
            result, failure = answers.get(timeout=seconds)
        except queue.Empty:
            self.stuck = True
            raise Unanswered(seconds) from None
        if failure is not None:
            raise failure
        return result

    def stop(self, seconds: float) -> bool:
        """Let it finish what was submitted; whether it did within `seconds`. No `done` is called any more."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._thread is None:
            return True
        self._work.put(None)
        self._thread.join(max(0.0, seconds))
        ended = not self._thread.is_alive()
        self._thread = None
        return ended

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def _look(self) -> None:
        """Whether it is stuck; for as long as something waits."""
        self._watch = None
        if not self._pending or self._later is None:
            return
        since, now = self.busy_since, time.monotonic()
        left = self.patience if since is None else since + self.patience - now
        if left <= 0 and not self.stuck:
            self.stuck = True
            self.hangs()
        if self.stuck and self._gives_up:
            for number in list(self._pending):
                self._settle(number, None, Unanswered(self.patience))
        else:
            self._watch = self._later(left if left > 0 else self.patience, self._look)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            number, work = item
            if number not in self._pending:
                continue  # given up
            self.busy_since = time.monotonic()
            result, failure = None, None
            try:
                result = work()
            except Exception as error:
                # Whatever it was: the one who asked must hear of it, and the thread must live on.
                failure = error
            self.busy_since = None
            try:
                self._hand_back(lambda n=number, r=result, f=failure: self._done(n, r, f))  # type: ignore[misc]
            except RuntimeError:
                return  # the loop has ended, and with it whoever waited

    def _done(self, number: int, result: Any, failure: Exception | None) -> None:
        self.stuck = False
        if number in self._pending:
            self._settle(number, result, failure)

    def _settle(self, number: int, result: Any, failure: Exception | None) -> None:
        done = self._pending.pop(number)
        if not self._pending and self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._thread is not None:
            done(result, failure)
