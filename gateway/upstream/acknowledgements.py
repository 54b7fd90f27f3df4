"""QoS 1 messages on their way in: acknowledged in order of arrival, once they may be, and never the wrong ones."""

from collections import deque
from collections.abc import Callable, Sequence

REMEMBERED = 4096

Receipt = tuple[int, str, int]
"""Packet identifier, topic, hash of the payload."""


class _Batch:
    __slots__ = ("durable", "generation", "mids")

    def __init__(self, generation: int, mids: list[int]) -> None:
        self.generation = generation
        self.mids = mids
        self.durable = False


class Acknowledgements:
    """Holds back PUBACKs until the batch, and all batches before it, are durable (MQTT 5.0, 4.6: in order of arrival).

    Packet identifiers mean something within one connection only: those of an earlier one are dropped when their batch
    becomes durable, since they would acknowledge whatever message has that number by then. A message that the broker
    sends again after a reconnect (DUP) and that was taken in before is known by identifier, topic and payload; the
    last 4096 are remembered, more than brokers keep in flight.
    """

    def __init__(self, send: Callable[[list[int]], None]) -> None:
        self._send = send
        self._generation = 0
        self._waiting: deque[_Batch] = deque()
        self._seen: dict[int, tuple[str, int]] = {}

    @property
    def outstanding(self) -> int:
        """Messages taken in and not acknowledged yet, of this connection."""
        return sum(len(batch.mids) for batch in self._waiting if batch.generation == self._generation)

    def connected(self, session_present: bool) -> None:
        """A new connection: what is not acknowledged yet comes again, under the same or other identifiers."""
        self._generation += 1
        if not session_present:
            self._seen.clear()

    def remember(self, receipts: Sequence[Receipt]) -> None:
        """Messages of an earlier run that are durable: the broker may not know yet, and send them again."""
        seen = self._seen
        for mid, topic, digest in receipts:
            seen.pop(mid, None)
            seen[mid] = (topic, digest)
        while len(seen) > REMEMBERED:
            del seen[next(iter(seen))]

    def redelivered(self, receipt: Receipt) -> bool:
        """Whether a message with the DUP flag was taken in before: it is to be acknowledged, not published."""
        return self._seen.get(receipt[0]) == receipt[1:]

    def take_in(self, receipts: Sequence[Receipt]) -> Callable[[], None]:
        """Remember a turn's QoS 1 messages. What it returns is called when all of them may be acknowledged."""
        self.remember(receipts)
        batch = _Batch(self._generation, [receipt[0] for receipt in receipts])
        self._waiting.append(batch)

        def durable() -> None:
            batch.durable = True
            self._settle()

        return durable

    def _settle(self) -> None:
        waiting = self._waiting
        mids: list[int] = []
        while waiting and waiting[0].durable:
            batch = waiting.popleft()
            if batch.generation == self._generation:
                mids += batch.mids
        if mids:
            self._send(mids)
