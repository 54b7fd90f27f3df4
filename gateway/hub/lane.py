"""The data lane of an outbox: batches that wait for one client's socket, and what thins them. Pure.

What is in here is within a policy's reach: not a byte of it has been offered to the socket. What is merged or dropped
is booked at once.
"""

from collections import deque

from gateway.hub.batch import Batch
from gateway.hub.budget import Budget
from gateway.hub.ledger import Ledger


class _Entry:
    """`batch` from its message number `first` on."""

    __slots__ = ("batch", "first")

    def __init__(self, batch: Batch, first: int) -> None:
        self.batch = batch
        self.first = first

    def size(self) -> int:
        return len(self.batch.blob) - self.batch.start(self.first)


class Lane:
    """Batches in the order in which they came, each counted in `budget`.

    `size` is the bytes that wait, `paced` those among them of replays. Every message that is merged or dropped stands
    in `ledger` until a gap names it.
    """

    __slots__ = ("_budget", "_choosy", "_entries", "ledger", "paced", "size")

    def __init__(self, budget: Budget, ledger: Ledger) -> None:
        self.ledger = ledger
        self.size = 0
        self.paced = 0
        self._budget = budget
        self._entries: deque[_Entry] = deque()
        self._choosy = False  # whether the client asked for the newest value only of anything that ever was in here

    def __len__(self) -> int:
        """How many batches wait."""
        return len(self._entries)

    def push(self, batch: Batch, first: int) -> None:
        """Take in `batch` from its message number `first` on."""
        entry = _Entry(batch, first)
        self._entries.append(entry)
        self._budget.hold(batch)
        if batch.mergeable is not None:
            self._choosy = True
        size = entry.size() if first else len(batch.blob)
        self.size += size
        if batch.paced:
            self.paced += size

    def take(self, count: int, size: int) -> list[bytes]:
        """Take out the oldest frames, one by one: up to `count` and about `size` bytes."""
        frames = []
        while self._entries and count > 0 and size > 0:
            entry = self._entries[0]
            batch, first = entry.batch, entry.first
            start, end = batch.start(first), batch.ends[first]
            if end > start:
                frames.append(batch.blob[start:end])
            count -= 1
            size -= end - start
            self._less(batch, end - start)
            entry.first += 1
            if entry.first == len(batch.ends):
                self._entries.popleft()
                self._budget.release(batch)
        return frames

    def slices(self, room: int, *, least: bool) -> list[tuple[Batch, memoryview]]:
        """Take out the oldest frames, as slices of their batches, `room` bytes of them at most.

        With `least` the first frame comes however long it is.
        """
        parts: list[tuple[Batch, memoryview]] = []
        while self._entries and room > 0:
            entry = self._entries[0]
            batch = entry.batch
            start, end = batch.start(entry.first), len(batch.blob)
            number = len(batch.ends)
            if end - start > room:
                # Cut between two messages, so that what stays is within the policy's reach.
                number = max(batch.holding(start + room - 1), entry.first + (least and not parts))
                if number == entry.first:
                    break
                end = batch.ends[number - 1]
            parts.append((batch, memoryview(batch.blob)[start:end]))
            room -= end - start
            self._less(batch, end - start)
            if number < len(batch.ends):
                entry.first = number
                break
            self._entries.popleft()
            self._budget.release(batch)
        return parts

    def clear(self) -> None:
        """Drop everything; it is nobody's to be told of."""
        for entry in self._entries:
            self._budget.release(entry.batch)
        self._entries.clear()
        self.ledger.take()
        self.size = self.paced = 0

    def merge_chosen(self) -> None:
        """Keep only the newest message of each topic of which the client asked for no more."""
        if self._choosy:
            self.merge(chosen_only=True)

    def merge(self, *, chosen_only: bool = False) -> None:
        """Keep only the newest message per topic, in the order of what is kept."""
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
                    and (not chosen_only or (batch.mergeable is not None and batch.mergeable(topic)))
                    and not (batch.kept is not None and batch.kept(topic))
                ):
                    continue
                seen.add(topic)
                keep.append(number)
            keep.reverse()
            if len(keep) < len(messages) - entry.first:
                self._book(entry, keep)
                self._budget.release(batch)
                if not keep:
                    continue
                entry = _Entry(_subset(batch, keep), 0)
                self._budget.hold(entry.batch)
            kept.appendleft(entry)
            size += entry.size()
        self._entries = kept
        self.size = size

    def drop(self, excess: int) -> None:
        """Drop the oldest messages, at least `excess` bytes of them or all that there are."""
        passed: list[_Entry] = []
        while self._entries and excess > 0:
            entry = self._entries.popleft()
            messages = entry.batch.messages
            if messages is None:
                passed.append(entry)
                continue
            before = entry.batch.start(entry.first)
            number = entry.first
            while number < len(messages) and excess > 0:
                message = messages[number]
                self.ledger.add(message.topic, message.offset)
                end = entry.batch.ends[number]
                self.size -= end - before
                excess -= end - before
                before = end
                number += 1
            if number < len(messages):
                passed.append(_Entry(entry.batch, number))
            else:
                self._budget.release(entry.batch)
        self._entries.extendleft(reversed(passed))

    def _book(self, entry: _Entry, keep: list[int]) -> None:
        messages = entry.batch.messages
        assert messages is not None
        stays = set(keep)
        for number in range(entry.first, len(messages)):
            if number not in stays:
                self.ledger.add(messages[number].topic, messages[number].offset)

    def _less(self, batch: Batch, count: int) -> None:
        """`count` bytes of `batch` have gone."""
        self.size -= count
        if batch.paced:
            self.paced -= count


def _subset(batch: Batch, numbers: list[int]) -> Batch:
    assert batch.messages is not None
    view = memoryview(batch.blob)
    frames = [bytes(view[batch.start(n) : batch.ends[n]]) for n in numbers]
    messages = [batch.messages[n] for n in numbers]
    return Batch(frames, messages, blob=b"".join(frames), mergeable=batch.mergeable, kept=batch.kept)
