"""What could not be decoded: counted by family and topic, with the last reason."""

from collections.abc import Sequence
from typing import NamedTuple

from devices.bounded import MAX_KEY, Bounded

_MAX_FAILURES = 1000


class Failure(NamedTuple):
    """How often a family's decoder failed on a topic, and how it did the last time."""

    family: str
    topic: str
    times: int
    reason: str


class Failures:
    """Counts; remembers the topics of at most 1,000, those that failed last."""

    def __init__(self) -> None:
        self.by_family: dict[str, int] = {}
        self._topics: Bounded[tuple[str, str], tuple[int, str]] = Bounded(_MAX_FAILURES)

    def count(self, family: str, topic: str, reason: str) -> None:
        """A family failed at a topic once more."""
        topic = topic[:MAX_KEY]
        self.by_family[family] = self.by_family.get(family, 0) + 1
        count, _ = self._topics.get((family, topic), (0, ""))
        self._topics[family, topic] = count + 1, reason[:200]

    def all(self) -> Sequence[Failure]:
        """Every failure that is remembered."""
        return [Failure(family, topic, *entry) for (family, topic), entry in self._topics.items()]
