"""When to ping a client, and when it counts as dead. Pure: a clock value in, a verdict out."""

from enum import Enum

import msgspec


class Beat(Enum):
    """What to do about a client now."""

    NOTHING = "nothing"
    PING = "ping"
    DEAD = "dead"


class Heartbeat(msgspec.Struct):
    """One client's life signs, in monotonic seconds.

    Whatever comes from the client counts as life, not only a pong: a pong can stand behind megabytes of our own data.
    `rtt` is how long the last ping was without an answer, in seconds; None before the first.
    """

    interval: float
    timeout: float
    heard_at: float
    asked_at: float | None = None
    rtt: float | None = None

    def heard(self, now: float) -> None:
        """Something came from the client."""
        self.heard_at = now
        if self.asked_at is not None:
            self.rtt = now - self.asked_at
            self.asked_at = None

    @property
    def due(self) -> float:
        """When `beat` has something to say, if nothing comes until then."""
        return self.heard_at + self.interval if self.asked_at is None else self.asked_at + self.timeout

    def beat(self, now: float) -> Beat:
        """Called when it is due, or more often; PING is answered by sending one."""
        if self.asked_at is not None:
            return Beat.DEAD if now - self.asked_at >= self.timeout else Beat.NOTHING
        if now - self.heard_at >= self.interval:
            self.asked_at = now
            return Beat.PING
        return Beat.NOTHING
