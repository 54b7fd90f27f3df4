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


class _Entry:
    __slots__ = ("batch", "first")

    def __init__(self, batch: Batch, first: int) -> None:
        self.batch = batch
        self.first = first

    def size(self) -> int:
        return len(self.batch.blob) - self.batch.start(self.first)


class Outbox:
    """What one client still has to get.

    `size` is the number of bytes that wait in the data lane, `bounds` what may. `gap` encodes a Ledger as a frame of
    the client's dialect. `lost` sums up every message that this client did not get, for the figures. What it holds is
    counted in `budget`, which calls `end` where that client has to go for the sake of the others; `moved`, `idle`
    and `age` are the budget's own.
    """

    __slots__ = (
        "_acting",
        "_again",
        "_asked",
        "_budget",
        "_control",
        "_control_size",
        "_end",
        "_entries",
        "_gap",
        "_merged_size",
        "_offered",
        "_offered_batch",
        "_offered_own",
        "_offered_paced",
        "_over_since",
        "_paced",
        "age",
        "bounds",
        "idle",
        "ledger",
        "lost",
        "moved",
        "size",
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
        self.moved = True
        self.idle = 0
        self.age = 0
        self._gap = gap
        self._budget = budget or Budget()
        self._end = end
        self._entries: deque[_Entry] = deque()
        self._control: deque[bytes] = deque()
        self._control_size = 0
        self._offered: memoryview | None = None
        self._offered_batch: Batch | None = None
        self._offered_own = 0
        self._offered_paced = 0
        self._paced = 0
        self._merged_size = 0
        self._again = next(_AGAIN)
        self._over_since: float | None = None
        self._asked = False
        self._acting = False
        self.ledger = Ledger("slow-consumer")
        self.size = 0
        self.lost = 0

    def __bool__(self) -> bool:
        """Whether anything at all waits."""
        return bool(self._offered is not None or self._entries or self._control or self.ledger.count)

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
        entry = _Entry(batch, first)
        self._entries.append(entry)
        self._budget.hold(batch)
        if batch.mergeable is not None:
            self._asked = True
        size = entry.size() if first else len(batch.blob)
        self.size += size
        if batch.messages is not None:
            if now is not None:
                self.judge(now)
        elif not batch.own:
            self._paced += size
        elif self.waiting > OWN_LIMIT * self.bounds.hard and len(self._entries) > 1:
            raise Overflow("more waits than any policy may shed")

    def judge(self, now: float) -> None:
        """Let the policy act on what waits. Raises Overflow where that is to disconnect."""
        if self.waiting > self.bounds.soft:
            self._enforce(now)

    def owe(self, ledger: Ledger) -> None:
        """Tell of what the client did not get for another reason, in its place."""
        if frame := self._gap(ledger):
            self.solo(frame)

    @property
    def waiting(self) -> int:
        """Bytes that count against the bounds: all but those of replays, which go only as fast as the socket takes."""
        return self.size - self._paced - self._offered_paced

    def resume(self, batch: Batch, taken: int, *, now: float) -> None:
        """Queue what is left of `batch` after the socket took `taken` bytes of it at once."""
        number = batch.holding(taken)
        if taken > batch.start(number):
            end = batch.ends[number]
            self._offer(batch, memoryview(batch.blob)[taken:end])
            self.size += end - taken
            number += 1
        if number < len(batch.ends):
            self.push(batch, now=now, first=number)

    def refused(self, batch: Batch) -> None:
        """Queue `batch`, whose bytes the socket was offered whole and did not take: the same must be offered again."""
        self._offer(batch, memoryview(batch.blob))
        self.size += len(batch.blob)

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
        self.size -= count
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
        while self._entries and count > 0 and size > 0:
            entry = self._entries[0]
            batch, first = entry.batch, entry.first
            start, end = batch.start(first), batch.ends[first]
            if end > start:
                frames.append(batch.blob[start:end])
            count -= 1
            size -= end - start
            self.size -= end - start
            if batch.messages is None and not batch.own:
                self._paced -= end - start
            entry.first += 1
            if entry.first == len(batch.ends):
                self._entries.popleft()
                self._budget.release(batch)
        self._relax()
        return frames

    def clear(self) -> None:
        """Drop all data that no byte of which has been offered: a close frame ends what a client gets."""
        for entry in self._entries:
            self._budget.release(entry.batch)
        self._entries.clear()
        self._paced = 0
        self.ledger.take()
        self.size = len(self._offered) if self._offered is not None else 0

    def close(self) -> None:
        """Nothing will be taken any more: give back what is held."""
        self.clear()
        self._retire()
        self.size = 0

    def shed(self) -> None:
        """Drop every message within reach, and book it."""
        self._drop(-1)

    def end(self) -> None:
        """End the client for the sake of the others."""
        if self._end is not None:
            self._end()

    def overdue(self, now: float) -> bool:
        """Whether this client has been past `hard` for longer than `patience`."""
        return self._over_since is not None and now - self._over_since > self.bounds.patience

    def queued(self) -> int:
        """How many messages wait within reach of the policy."""
        return sum(len(e.batch.messages) - e.first for e in self._entries if e.batch.messages is not None)

    def _load(self, limit: int) -> bool:
        if self._control:
            frames = b"".join(self._control)
            self._control.clear()
            self._control_size = 0
            self._offer_own(frames)
            self.size += len(frames)
            return True
        self._thin()
        parts: list[bytes | memoryview] = []
        room = limit
        # Some dialects have no word for a gap.
        if self.ledger.count and (frame := self._gap(self.ledger.take())):
            self.size += len(frame)
            parts.append(frame)
            room -= len(frame)
        only: Batch | None = None
        while self._entries and room > 0:
            entry = self._entries[0]
            batch = entry.batch
            start, end = batch.start(entry.first), len(batch.blob)
            whole = True
            if end - start > room:
                # Cut between two messages, so that what stays is within the policy's reach.
                last = max(batch.holding(start + room - 1), entry.first + (not parts))
                if last == entry.first:
                    break
                end = batch.ends[last - 1]
                if last < len(batch.ends):
                    entry.first = last
                    whole = False
                    room = end - start
            if whole:
                self._entries.popleft()
            if batch.messages is None and not batch.own:
                self._paced -= end - start
                self._offered_paced += end - start
            only = None if parts else batch
            parts.append(memoryview(batch.blob)[start:end])
            if whole:
                self._budget.release(batch)
            room -= end - start
        if not parts:
            return False
        if only is not None:
            self._offer(only, memoryview(parts[0]))
            return True
        self._offer_own(b"".join(parts))
        return True

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
        if not self._entries:
            return
        if self._acting and self.bounds.policy is Policy.LATEST:
            self._merge(asked_only=False)
        elif self._asked:
            self._merge(asked_only=True)

    def _enforce(self, now: float) -> None:
        bounds = self.bounds
        if bounds.policy is Policy.DISCONNECT:
            raise Overflow(f"more than {bounds.soft} bytes behind")
        self._acting = True
        if bounds.policy is Policy.DROP_OLDEST:
            self._drop(bounds.soft)
        elif self.waiting > self._again * self._merged_size:
            self._merge(asked_only=False)
            self._merged_size = max(self.waiting, bounds.soft // 2)
        if self.waiting > bounds.hard:
            self._drop(bounds.hard)
            if self._over_since is None:
                self._over_since = now

    def _merge(self, *, asked_only: bool) -> None:
        """Keep only the newest message per topic, in the order of what is kept; book the rest."""
        seen: set[str] = set()
        kept: deque[_Entry] = deque()
        size = 0
        for entry in reversed(self._entries):
            batch = entry.batch
            messages = batch.messages
            if messages is None:
                kept.appendleft(entry)
                size += entry.size()
                continue
            keep: list[int] = []
            for number in range(len(messages) - 1, entry.first - 1, -1):
                topic = messages[number].topic
                if (
                    topic in seen
                    and (not asked_only or (batch.mergeable is not None and batch.mergeable(topic)))
                    and not (batch.kept is not None and batch.kept(topic))
                ):
                    continue
                seen.add(topic)
                keep.append(number)
            keep.reverse()
            if not keep:
                self._book(entry, keep)
                self._budget.release(batch)
                continue
            if len(keep) < len(messages) - entry.first:
                self._book(entry, keep)
                self._budget.release(batch)
                entry = _Entry(_subset(batch, keep), 0)
                self._budget.hold(entry.batch)
            kept.appendleft(entry)
            size += entry.size()
        self._entries = kept
        self.size = size + (len(self._offered) if self._offered is not None else 0)

    def _book(self, entry: _Entry, keep: list[int]) -> None:
        messages = entry.batch.messages
        assert messages is not None
        stays = set(keep)
        for number in range(entry.first, len(messages)):
            if number not in stays:
                self.ledger.add(messages[number].topic, messages[number].offset)
                self.lost += 1

    def _drop(self, bound: int) -> None:
        """Drop the oldest messages within reach until at most `bound` bytes wait."""
        passed: list[_Entry] = []
        while self._entries and self.waiting > bound:
            entry = self._entries.popleft()
            messages = entry.batch.messages
            if messages is None:
                passed.append(entry)
                continue
            before = entry.batch.start(entry.first)
            number = entry.first
            while number < len(messages) and self.waiting > bound:
                message = messages[number]
                self.ledger.add(message.topic, message.offset)
                self.lost += 1
                self.size -= entry.batch.ends[number] - before
                before = entry.batch.ends[number]
                number += 1
            if number < len(messages):
                passed.append(_Entry(entry.batch, number))
            else:
                self._budget.release(entry.batch)
        self._entries.extendleft(reversed(passed))


def _subset(batch: Batch, numbers: list[int]) -> Batch:
    assert batch.messages is not None
    view = memoryview(batch.blob)
    frames = [bytes(view[batch.start(n) : batch.ends[n]]) for n in numbers]
    messages = [batch.messages[n] for n in numbers]
    return Batch(frames, messages, blob=b"".join(frames), mergeable=batch.mergeable, kept=batch.kept)
