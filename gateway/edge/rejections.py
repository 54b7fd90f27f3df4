"""The last origins that were turned away, each with its reason and the line that would let it in. Pure."""

from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec

from gateway.edge.origin import Verdict, toml_line

KEPT = 32
SAY_AGAIN = 60.0  # seconds before the log tells of the same origin again
LINES = 20  # and of all origins in that time: made-up ones must not fill the log


class Rejection(msgspec.Struct):
    """An origin that was refused: how often, when last (Unix seconds), why, and the TOML that would allow it."""

    origin: str
    host: str
    reason: str
    remedy: str | None
    count: int = 0
    last: float = 0.0


class Rejections:
    """Remembers the newest; tells when a line is due in the log."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, str], Rejection] = OrderedDict()
        self._said: dict[tuple[str, str], float] = {}
        self._lines: deque[float] = deque(maxlen=LINES)
        self._full_said = float("-inf")
        self.total = 0
        self.overflow = False
        """Whether the newest was the first in a while that is one too many for the log."""

    def add(
        self, origin: str, host: str, verdict: Verdict, allow: Sequence[str], *, now: float, wall: float
    ) -> Rejection | None:
        """Book a refusal; the entry where the log should tell of it now (once a minute and origin at most).

        `allow` is what the configuration lets in; `now` is monotonic, `wall` Unix seconds.
        """
        self.total += 1
        key = origin[:200], host[:200]
        entry = self._found.get(key)
        if entry is None:
            entry = self._found[key] = Rejection(*key, verdict.reason[:300], toml_line(verdict, allow))
            while len(self._found) > KEPT:
                gone, _ = self._found.popitem(last=False)
                self._said.pop(gone, None)
        self._found.move_to_end(key)
        entry.count += 1
        entry.last = wall
        full = len(self._lines) == LINES and now - self._lines[0] < SAY_AGAIN
        self.overflow = full and now - self._full_said >= SAY_AGAIN
        if self.overflow:
            self._full_said = now
        if full or now - self._said.get(key, now - SAY_AGAIN) < SAY_AGAIN:
            return None
        self._lines.append(now)
        self._said[key] = now
        return entry

    def latest(self) -> list[Rejection]:
        """Those kept, the newest first."""
        return list(reversed(self._found.values()))
