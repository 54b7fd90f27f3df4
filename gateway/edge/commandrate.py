"""How many commands a client may send: a token bucket, and an end to those who do not listen. Pure."""

from gateway.edge.commands import Id
from gateway.errors import TOO_FAST, CloseConnection, CommandError

BURST_SECONDS = 5  # a client may save up its commands for so long


class CommandRate:
    """`per_second` commands, five seconds' worth saved up at most; `now` is monotonic seconds."""

    __slots__ = ("_at", "_per_second", "_refused", "_tokens")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._tokens = per_second * BURST_SECONDS
        self._at = now
        self._refused = 0

    def pay(self, id: Id, now: float) -> None:
        """One command's price.

        Raises CommandError where there is nothing left, and CloseConnection for who goes on all the same.
        """
        rate = self._per_second
        burst = rate * BURST_SECONDS
        self._tokens = min(burst, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            self._refused = 0
            return
        self._refused += 1
        if self._refused > burst:
            raise CloseConnection(TOO_FAST.code, f"more than {rate:g} commands a second")
        raise CommandError("too-fast", f"at most {rate:g} commands a second, {burst:g} at once", id)

    def charge(self, commands: float) -> None:
        """A command costs as much as so many more."""
        self._tokens -= commands
