"""What one audience gets in one turn: frames joined once, shared by every outbox that has to wait."""

from collections.abc import Callable
from itertools import accumulate

from gateway.hub.message import Message


class Batch:
    """Immutable: the joined bytes, and per message where its frame lies.

    `messages` is None for frames of one client's own: no policy may shed those. `own` ones (a reply, a gap, a
    heartbeat) count as waiting; those of a replay are paced by the client's socket and trip no bound. `mergeable` tells
    of a topic whether the client asked for its newest value only (mode "latest"); `kept` whether its messages are never
    merged (buttons, alarms). `holders` is the number of places in outboxes that refer to it.
    """

    __slots__ = ("_ends", "_frames", "blob", "holders", "kept", "mergeable", "messages", "own")

    def __init__(
        self,
        frames: list[bytes],
        messages: list[Message] | None,
        *,
        blob: bytes | None = None,
        mergeable: Callable[[str], bool] | None = None,
        kept: Callable[[str], bool] | None = None,
        own: bool = False,
    ) -> None:
        if blob is None:
            blob = frames[0] if len(frames) == 1 else b"".join(frames)
        self.blob = blob
        self.messages = messages
        self.mergeable = mergeable
        self.kept = kept
        self.own = own
        self.holders = 0
        self._frames: list[bytes] | None = frames
        self._ends: list[int] | None = None

    @property
    def paced(self) -> bool:
        """Whether it is part of a replay."""
        return self.messages is None and not self.own

    @property
    def ends(self) -> list[int]:
        """The end of each message's frame in `blob`; reckoned only once some client falls behind."""
        if self._ends is None:
            assert self._frames is not None
            self._ends = list(accumulate(map(len, self._frames)))
            self._frames = None
        return self._ends

    def start(self, number: int) -> int:
        """Where the frame of message `number` begins."""
        return self.ends[number - 1] if number else 0

    def holding(self, byte: int) -> int:
        """The number of the message whose frame holds `byte` (one past the last where none does)."""
        ends = self.ends
        low, high = 0, len(ends)
        while low < high:
            middle = (low + high) // 2
            if ends[middle] <= byte:
                low = middle + 1
            else:
                high = middle
        return low


def solo(frame: bytes) -> Batch:
    """One client's own frame, which no policy touches."""
    return Batch([frame], None, blob=frame, own=True)
