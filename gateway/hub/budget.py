"""What all outboxes together may hold: a batch that many share is counted once; the largest is shed first. Pure."""

from collections.abc import Callable
from typing import Protocol

from gateway.hub.batch import Batch

STUCK = 3  # ticks in which a socket took nothing: a burst fills many for a moment, which is no reason to end anybody
SLOW = 2  # ticks behind without a break: no burst
RELIEF = 7 / 8  # shed down to this part of the bound, not to the bound itself


class Holder(Protocol):
    """An outbox that holds something, as the budget sees it: `moved` since the last tick.

    `idle` and `age` are ticks: without a byte taken, and without a moment in which it was empty.
    """

    moved: bool
    idle: int
    age: int

    @property
    def size(self) -> int:
        """Bytes that wait."""

    def shed(self) -> None:
        """Drop every message that is within the policy's reach, and book it."""

    def end(self) -> None:
        """End the client: what waits for it is given back."""


class Budget:
    """`limit` bounds the bytes in outboxes, `kernel` those in sockets, reckoned as `share` for each that is not empty.

    `schedule` runs a function in the loop's next turn: nothing is shed in the middle of a flush. `sheds` and `ended`
    count how often an outbox was emptied and a client ended for the sake of the others; `taken` the bytes that sockets
    took out of outboxes.
    """

    def __init__(
        self,
        *,
        limit: float = float("inf"),
        kernel: float = float("inf"),
        share: int = 0,
        schedule: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.limit = limit
        self.kernel = kernel
        self.share = share
        self.size = 0
        self.taken = 0
        self.sheds = 0
        self.ended = 0
        self._schedule = schedule
        self._scheduled = False
        self._slow = 0
        self._holders: dict[Holder, None] = {}

    @property
    def late(self) -> int:
        """How many have fallen behind only in the last second or two."""
        return len(self._holders) - self._slow

    @property
    def kernel_size(self) -> int:
        """Bytes that the sockets of clients with something waiting may hold."""
        return self.share * len(self._holders)

    def adopt(self, *, limit: float, kernel: float) -> None:
        """Go by these bounds from now on."""
        self.limit, self.kernel = limit, kernel
        self.add(0)

    def open(self, holder: Holder) -> None:
        """`holder` has a socket that takes no more."""
        self._holders[holder] = None

    def close(self, holder: Holder) -> None:
        """`holder` is empty, or its client gone."""
        if self._holders.pop(holder, self) is None and holder.age >= SLOW:
            self._slow -= 1

    def hold(self, batch: Batch) -> None:
        """One more place refers to `batch`."""
        if not batch.holders:
            self.add(len(batch.blob))
        batch.holders += 1

    def release(self, batch: Batch) -> None:
        """One place less refers to `batch`."""
        batch.holders -= 1
        if not batch.holders:
            self.size -= len(batch.blob)

    def add(self, count: int) -> None:
        """Some outbox has bytes of its own, or (negative) no more."""
        self.size += count
        if self.size > self.limit and not self._scheduled and self._schedule is not None:
            self._scheduled = True
            self._schedule(self.relieve)

    def relieve(self) -> None:
        """Where all together hold too much, empty the largest; where that is not enough, end them."""
        self._scheduled = False
        if self.size <= self.limit:
            return
        goal = self.limit * RELIEF
        for act in (self._shed, self._end):
            for holder in self._largest():
                if self.size <= goal:
                    return
                act(holder)

    def tick(self) -> None:
        """About once a second: sockets that are stuck give back the kernel's memory, the largest outbox first."""
        for holder in self._holders:
            holder.idle = 0 if holder.moved else holder.idle + 1
            holder.moved = False
            holder.age += 1
            if holder.age == SLOW:
                self._slow += 1
        if self.kernel_size > self.kernel:
            for holder in self._largest():
                if self.kernel_size <= self.kernel:
                    return
                if holder.idle >= STUCK:
                    self._end(holder)

    def _largest(self) -> list[Holder]:
        return sorted(self._holders, key=lambda holder: holder.size, reverse=True)

    def _shed(self, holder: Holder) -> None:
        self.sheds += 1
        holder.shed()

    def _end(self, holder: Holder) -> None:
        self.ended += 1
        holder.end()
