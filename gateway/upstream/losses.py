"""What may be missing behind a connection: judged by CONNACK, and told before the first message of the new one."""

from collections.abc import Callable

from gateway.upstream.counters import Counters
from gateway.upstream.following import Following


class Losses:
    """`tell` says that messages of the link were lost, nobody can know how many.

    `continues`: viewers have had messages of this upstream before, by an earlier connection, by an earlier run whose
    history there is, or by another gateway that stands on the same log. Without that there is nothing for a loss to be
    behind of.
    """

    def __init__(self, following: Following, counters: Counters, tell: Callable[[], None], *, continues: bool) -> None:
        self.continues = continues
        self._following = following
        self._counters = counters
        self._tell = tell
        self._judged = False
        self._told_at = -1  # messages by then, of tries that have led to no subscription yet

    def accepted(self, session_present: bool) -> None:
        """CONNACK came. What comes with it, in the same read, is handed on after this."""
        self._judged = self.continues and self._following.may_lack(session_present)
        if self._judged and self._counters.messages != self._told_at:
            self._lost()

    def subscribed(self, session_present: bool) -> None:
        """SUBACK came: the broker may have granted less than was asked for."""
        if self.continues and not self._judged and self._following.may_lack(session_present):
            self._lost()
        self.continues = True
        self._told_at = -1

    def _lost(self) -> None:
        self._told_at = self._counters.messages
        self._counters.gaps += 1
        self._tell()
