"""A flood's breath: how long ingest waits for clients whose sockets are full. Pure.

Clients on the gateway's own box, or near it on a fast network, fall behind a flood for want of a processor. What they
do not get until they run would be merged in their outboxes for nothing: the flood can as well wait in the broker. One
that never reads, or whose network is slow, must not hold it up.
"""

from collections.abc import Callable

from gateway.hub.budget import Budget

FLOOD = 64  # messages in one flush: somebody publishes as fast as it goes
FLOOD_RATE = 10e6  # bytes a second for one client, from flush to flush: so do they with large messages
BREATH = 0.002  # seconds that a flood waits in any case; at 200,000 messages/s nobody feels it
FAST = 50e6  # bytes a second: where those who are behind take this much, what they lack is no network
STALL = 0.2  # seconds for which such clients may not run, or first read what their sockets hold (0.3 MiB each)


class Breath:
    """`budget` knows who is behind and what they take, `clock` is monotonic seconds."""

    __slots__ = ("_before", "_begun", "_budget", "_clock", "_fast_at", "_since", "_trust", "_until")

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._begun = self._since = self._until = 0.0
        self._before = 0
        self._fast_at = 0.0
        self._trust = True

    def judge(self, messages: int, size: int, seconds: float) -> None:
        """Begin where it was no trickle that has filled some client's socket.

        A flush has handed out `messages`, and that client `size` bytes, `seconds` after the one before.
        """
        if messages >= FLOOD or size >= FLOOD_RATE * seconds:
            self.begin()

    def begin(self) -> None:
        """A flood has filled some client's socket."""
        self._begun = now = self._clock()
        # They were fast the last time, so nothing taken yet proves nothing.
        self._fast_at = now if self._trust else float("-inf")
        self._look_again(now)

    def holds(self) -> bool:
        """Whether it goes on: while those who have fallen behind only now take in much, or did a moment ago."""
        if not self._until:
            return False
        now = self._clock()
        if now < self._until:
            return True
        if self._budget.taken - self._before >= FAST * (now - self._since):
            self._fast_at = now
        if self._budget.late and now - self._fast_at < STALL:
            self._look_again(now)
            return True
        self._until = 0.0
        self._trust = self._fast_at > self._begun
        return False

    def _look_again(self, now: float) -> None:
        self._since, self._until = now, now + BREATH
        self._before = self._budget.taken
