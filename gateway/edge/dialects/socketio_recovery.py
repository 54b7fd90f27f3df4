"""Socket.IO's connection state recovery: what a client had subscribed to, until it comes back. Pure.

The client returns the private id of its last session and the offset behind the last event that it got. The messages
themselves are in the log: only the subscriptions have to be kept, for a few minutes and not too many.
"""

from msgspec.structs import replace

from gateway.edge.commands import ReplayFrom, Subscribe, replay_in

KEPT = 120.0  # seconds
MOST = 2000


class Remembered:
    """One client's subscriptions by filter, and those whose replay has ended."""

    def __init__(self, sid: str, start: str) -> None:
        self.sid = sid
        self.start = start
        self.wishes: dict[str, Subscribe] = {}
        self.settled: set[str] = set()
        self.seen_at = 0.0

    def again(self, offset: str) -> list[Subscribe]:
        """The commands that go on after `offset` (EPOCH:OFFSET); a replay that never ended begins anew."""
        try:
            resume = replay_in(offset)
        except ValueError:
            resume = "last"
        if not isinstance(resume, ReplayFrom):
            resume = "last"
        anew: dict[int, Subscribe] = {}
        together: dict[tuple[object, ...], Subscribe] = {}
        for filter, wish in self.wishes.items():
            how = (wish.mode, wish.interval, wish.readings, wish.data)
            if filter not in self.settled:
                # What was asked for by one command is asked for by one again: it is counted, and replayed, as one.
                anew.setdefault(id(wish), replace(wish, topics=[], id=None)).topics.append(filter)
            elif how in together:
                together[how].topics.append(filter)
            else:
                together[how] = replace(wish, topics=[filter], id=None, replay=resume)
        # What goes on together comes in order, over all its filters.
        return [*together.values(), *anew.values()]


class Recovery:
    """What all clients of a gateway left behind, by private id."""

    def __init__(self) -> None:
        self.now = 0.0
        self._kept: dict[str, Remembered] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, pid: str, sid: str, start: str) -> Remembered:
        """Remember a new client; whoever was gone longest is forgotten where there are too many."""
        self._expire()
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[pid] = Remembered(sid, start)
        kept.seen_at = self.now
        return kept

    def find(self, pid: str) -> Remembered | None:
        """What is remembered under a private id, None where nothing is any more."""
        self._expire()
        return self._kept.get(pid)

    def seen(self, pid: str, now: float) -> None:
        """The client is still here; `now` is monotonic seconds."""
        self.now = now
        kept = self._kept.pop(pid, None)
        if kept is not None:
            kept.seen_at = now
            self._kept[pid] = kept

    def _expire(self) -> None:
        while self._kept:
            pid, kept = next(iter(self._kept.items()))
            if self.now - kept.seen_at <= KEPT:
                return
            del self._kept[pid]
