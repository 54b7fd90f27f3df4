"""A client's outbox: what its socket has not taken yet, in two lanes, bounded in bytes, with a policy.

Pure: knows neither socket nor clock. While the socket takes everything at once there is nothing in it and nothing to
pay. The control lane (ping, pong, close) goes first but only between frames; the data lane is what a policy may thin.
Bytes that have been offered to the socket are out of every policy's reach: part of a frame may be gone, and OpenSSL
wants the very same bytes again.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from itertools import cycle

import msgspec

from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.lane import Lane
from gateway.hub.ledger import Ledger

CONTROL_LIMIT = 16 * 1024
# Times what a merge left after which the next is due: at most twice, so that merging costs no more than queueing, and
# different for each of those who fell behind at the same moment, so that no turn has to merge for all of them.
_AGAIN = cycle(1.5 + n * 0.61803 % 1 / 2 for n in range(64))
OWN_LIMIT = 2  # times `hard` of what no policy may shed


class Policy(Enum):
    """What happens to a client that is behind by more than `soft` bytes."""

    LATEST = "latest"
    DROP_OLDEST = "drop-oldest"
    DISCONNECT = "disconnect"


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of an outbox: bytes, and seconds of patience above `hard`."""

    policy: Policy = Policy.LATEST
    soft: int = 256 * 1024
    hard: int = 2 * 1024 * 1024
    patience: float = 30.0


class Overflow(Exception):
    """The outbox is past what its bounds allow: the connection has to be aborted, never closed politely."""


class Outbox:
    """What one client still has to get.

    `bounds` says how much may wait. `gap` encodes a Ledger as a frame of the client's dialect; what no gap has named
    yet stands in `ledger`. What it holds is counted in `budget`, which calls `end` where that client has to go for the
    sake of the others; `moved`, `idle` and `age` are the budget's own.
    """

    __slots__ = (
        "_acting",
        "_again",
        "_budget",
        "_control",
        "_control_size",
        "_end",
        "_gap",
        "_lane",
        "_merged_size",
        "_offered",
        "_offered_batch",
        "_offered_own",
        "_offered_paced",
        "_over_since",
        "age",
        "bounds",
        "idle",
        "ledger",
        "moved",
    )

    def __init__(
        self,
        bounds: Bounds,
        gap: Callable[[Ledger], bytes],
        *,
        budget: Budget | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        self.bounds = bounds
        self.ledger = Ledger("slow-consumer")
        self.moved = True
        self.idle = 0
        self.age = 0
        self._gap = gap
        self._budget = budget or Budget()
        self._end = end
        self._lane = Lane(self._budget, self.ledger)
        self._control: deque[bytes] = deque()
        self._control_size = 0
        self._offered: memoryview | None = None
        self._offered_batch: Batch | None = None
        self._offered_own = 0
        self._offered_paced = 0
        self._merged_size = 0
        self._again = next(_AGAIN)
        self._over_since: float | None = None
        self._acting = False

    def __bool__(self) -> bool:
        """Whether anything at all waits."""
        return bool(self._offered is not None or self._lane or self._control or self.ledger.count)

    @property
    def size(self) -> int:
        """Bytes that wait, those that were offered to the socket included."""
        return self._lane.size + (len(self._offered) if self._offered is not None else 0)

    @property
    def waiting(self) -> int:
        """Bytes that count against the bounds: all but those of replays, which go only as fast as the socket takes."""
        return self.size - self._lane.paced - self._offered_paced

    def control(self, frame: bytes) -> None:
        """Queue a control frame. Raises Overflow where the client lets even those pile up."""
        if self._control_size + len(frame) > CONTROL_LIMIT:
            raise Overflow("control frames are not read")
        self._control.append(frame)
        self._control_size += len(frame)

    def solo(self, frame: bytes) -> None:
        """Queue a frame of this client's own in the data lane, in its place, never to be shed."""
        self.push(solo(frame), now=None)

    def push(self, batch: Batch, *, now: float | None, first: int = 0) -> None:
        """Queue `batch` from its message number `first` on; `now` is monotonic seconds.

        Where it is None the policy does not look at messages yet: `judge` has it look. Raises Overflow where the policy
        is to disconnect, or more waits than any policy may shed.
        """
        self._lane.push(batch, first)
        if batch.messages is not None:
            if now is not None:
                self.judge(now)
        elif batch.own and self.waiting > OWN_LIMIT * self.bounds.hard and len(self._lane) > 1:
            raise Overflow("more waits than any policy may shed")

    def judge(self, now: float) -> None:
        """Let the policy act on what waits. Raises Overflow where that is to disconnect."""
        if self.waiting > self.bounds.soft:
            self._enforce(now)

    def owe(self, ledger: Ledger) -> None:
        """Tell of what the client did not get for another reason, in its place."""
        if frame := self._gap(ledger):
            self.solo(frame)

    def resume(self, batch: Batch, taken: int, *, now: float) -> None:
        """Queue what is left of `batch` after the socket took `taken` bytes of it at once."""
        number = batch.holding(taken)
        if taken > batch.start(number):
            end = batch.ends[number]
            self._offer(batch, memoryview(batch.blob)[taken:end])
            number += 1
        if number < len(batch.ends):
            self.push(batch, now=now, first=number)

    def refused(self, batch: Batch) -> None:
        """Queue `batch`, whose bytes the socket was offered whole and did not take: the same must be offered again."""
        self._offer(batch, memoryview(batch.blob))

    def chunk(self, limit: int) -> memoryview | None:
        """What to offer to the socket now, at most `limit` bytes; the same until `took` says otherwise."""
        if self._offered is None and not self._load(limit):
            return None
        assert self._offered is not None
        return self._offered[:limit]

    def took(self, count: int) -> None:
        """The socket took `count` bytes of the chunk."""
        assert self._offered is not None
        if count:
            self.moved = True
            self._budget.taken += count
        if count < len(self._offered):
            self._offered = self._offered[count:]
            self._offered_paced = min(self._offered_paced, len(self._offered))
        else:
            self._retire()
        self._relax()

    def take(self, count: int, size: int) -> list[bytes]:
        """Take out the oldest frames, up to `count` and about `size` bytes: for a client that is served alone."""
        self._thin()
        frames = []
        if self.ledger.count and (frame := self._gap(self.ledger.take())):
            frames.append(frame)
        frames += self._lane.take(count, size)
        self._relax()
        return frames

    def clear(self) -> None:
        """Drop all data that no byte of which has been offered: a close frame ends what a client gets."""
        self._lane.clear()

    def close(self) -> None:
        """Nothing will be taken any more: give back what is held."""
        self._lane.clear()
        self._retire()

    def shed(self) -> None:
        """Drop every message within reach, and book it."""
        self._lane.drop(self.size + 1)

    def end(self) -> None:
        """End the client for the sake of the others."""
        if self._end is not None:
            self._end()

    def overdue(self, now: float) -> bool:
        """Whether this client has been past `hard` for longer than `patience`."""
        return self._over_since is not None and now - self._over_since > self.bounds.patience

    def _load(self, limit: int) -> bool:
        if self._control:
            frames = b"".join(self._control)
            self._control.clear()
            self._control_size = 0
            self._offer_own(frames)
            return True
        self._thin()
        gap = b""
        if self.ledger.count:
            gap = self._gap(self.ledger.take())  # empty where a dialect has no word for it
        parts = self._lane.slices(limit - len(gap), least=not gap)
        self._offered_paced = sum(len(view) for batch, view in parts if batch.paced)
        if len(parts) == 1 and not gap:
            self._offer(*parts[0])
        elif parts or gap:
            self._offer_own(b"".join([gap, *(view for _, view in parts)]))
        return bool(parts or gap)

    def _offer(self, batch: Batch, view: memoryview) -> None:
        self._budget.hold(batch)
        self._offered, self._offered_batch = view, batch

    def _offer_own(self, frames: bytes) -> None:
        self._budget.add(len(frames))
        self._offered, self._offered_own = memoryview(frames), len(frames)

    def _retire(self) -> None:
        """What was offered has gone."""
        self._offered = None
        self._offered_paced = 0
        if self._offered_batch is not None:
            self._budget.release(self._offered_batch)
            self._offered_batch = None
        if self._offered_own:
            self._budget.add(-self._offered_own)
            self._offered_own = 0

    def _relax(self) -> None:
        """Back below a quarter of `soft` all flows as before."""
        if self.waiting <= self.bounds.soft // 4:
            self._over_since = None
            self._acting = False
            self._merged_size = 0

    def _thin(self) -> None:
        """Merge before something goes out: what the client asked for, or all while the policy acts."""
        if self._acting and self.bounds.policy is Policy.LATEST:
            self._lane.merge()
        else:
            self._lane.merge_chosen()

    def _enforce(self, now: float) -> None:
        bounds = self.bounds
        if bounds.policy is Policy.DISCONNECT:
            raise Overflow(f"more than {bounds.soft} bytes behind")
        self._acting = True
        if bounds.policy is Policy.DROP_OLDEST:
            self._lane.drop(self.waiting - bounds.soft)
        elif self.waiting > self._again * self._merged_size:
            self._lane.merge()
            self._merged_size = max(self.waiting, bounds.soft // 2)
        if self.waiting > bounds.hard:
            self._lane.drop(self.waiting - bounds.hard)
            if self._over_since is None:
                self._over_since = now
