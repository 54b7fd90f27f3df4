"""The loop-back probe: publish to a topic of our own, see it come back, or know that the link is blind."""

import asyncio
import secrets
from collections.abc import Callable
from enum import Enum

RECONNECT_EVERY = 30


class Cure(Enum):
    """What is tried against a blind link, in this order."""

    RESUBSCRIBE = "subscribing again"
    RECONNECT = "reconnecting"
    NEW_CLIENT_ID = "taking a fresh client id"


class Canary:
    """Sends a probe every `interval` seconds; one that is not back by the next counts as missed.

    `missed(n)` is called with the number of probes missed in a row, `seen()` when one is back after a miss.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float,
        *,
        send: Callable[[bytes], None],
        missed: Callable[[int], None],
        seen: Callable[[], None],
    ) -> None:
        self.misses = 0
        self._loop = loop
        self._interval = interval
        self._send = send
        self._missed = missed
        self._seen = seen
        self._timer: asyncio.TimerHandle | None = None
        self._outstanding: bytes | None = None

    def start(self) -> None:
        """Send a probe at once, and the next after `interval`: at the start of a connection, and after a cure."""
        self.stop()
        self._outstanding = secrets.token_hex(8).encode()
        self._timer = self._loop.call_later(self._interval, self._beat)
        self._send(self._outstanding)

    def stop(self) -> None:
        """No more probes until `start`; misses in a row are still remembered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """No more probes until `start`, and none counts as missed."""
        self.stop()
        self.misses = 0

    def came_back(self, payload: bytes) -> None:
        """A message on the probe's topic; one that is not ours (another gateway of the same name) is passed over."""
        if payload != self._outstanding:
            return
        self._outstanding = None
        if self.misses:
            self.misses = 0
            self._seen()

    def _beat(self) -> None:
        self._timer = None
        if self._outstanding is None:
            self.start()
            return
        self.misses += 1
        self._missed(self.misses)


def cure(misses: int) -> Cure:
    """What to do after so many misses in a row: each step once, then the gentle one, and a reconnect now and then.

    Whoever gave the probe no rights must not lose the messages that do come, by a reconnect at every probe.
    """
    if misses <= 3:
        return (Cure.RESUBSCRIBE, Cure.RECONNECT, Cure.NEW_CLIENT_ID)[misses - 1]
    return Cure.RECONNECT if misses % RECONNECT_EVERY == 0 else Cure.RESUBSCRIBE
