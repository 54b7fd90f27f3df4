"""Between the thread that reads the history file and the one that writes it: a moment without a reader."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """SQLite begins its write-ahead log anew only while nobody reads; one who reads all the time leaves no such moment.

    Whoever wants one waits for what is being read, and goes before what is to be read next.
    """

    def __init__(self) -> None:
        self._turnstile = threading.Lock()
        self._reading = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around whatever reads."""
        with self._turnstile:
            pass
        with self._reading:
            yield

    @contextmanager
    def alone(self, seconds: float) -> Iterator[bool]:
        """Nobody reads; False where somebody has not ended within `seconds`."""
        with self._turnstile:
            got = self._reading.acquire(timeout=seconds)
            try:
                yield got
            finally:
                if got:
                    self._reading.release()
