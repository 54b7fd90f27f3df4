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
    """

    interval: float
    timeout: float
    heard_at: float
    asked_at: float | None = None

    def heard(self, now: float) -> None:
        """Something came from the client."""
        self.heard_at = now
        self.asked_at = None

    def beat(self, now: float) -> Beat:
        """Called now and then; PING is answered by sending one."""
        if self.asked_at is not None:
            return Beat.DEAD if now - self.asked_at >= self.timeout else Beat.NOTHING
        if now - self.heard_at >= self.interval:
            self.asked_at = now
            return Beat.PING
        return Beat.NOTHING
