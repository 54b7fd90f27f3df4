"""What a client did not get: the facts of one `gap`."""

MAX_TOPICS = 32
REST = "…"


class Ledger:
    """Counts messages lost to one client for one reason, until a gap names them.

    `first` and `last` are offsets, inclusive; `count` is exact; `topics` counts per topic, at most 32 of them, the rest
    summed up under "…".
    """

    __slots__ = ("count", "first", "last", "reason", "topics")

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.first = 0
        self.last = 0
        self.count = 0
        self.topics: dict[str, int] = {}

    def add(self, topic: str, offset: int) -> None:
        """Book one message that this client does not get."""
        if not self.count or offset < self.first:
            self.first = offset
        self.last = max(self.last, offset)
        self.count += 1
        topics = self.topics
        if topic in topics or len(topics) < MAX_TOPICS:
            topics[topic] = topics.get(topic, 0) + 1
        else:
            topics[REST] = topics.get(REST, 0) + 1

    def take(self) -> "Ledger":
        """What stands in the book, which is empty from now on."""
        taken = Ledger(self.reason)
        taken.first, taken.last, taken.count, taken.topics = self.first, self.last, self.count, self.topics
        self.first = self.last = self.count = 0
        self.topics = {}
        return taken

    def copy(self) -> "Ledger":
        """The same again, in a book of its own."""
        other = Ledger(self.reason)
        other.first, other.last, other.count, other.topics = self.first, self.last, self.count, dict(self.topics)
        return other

    def less(self, other: "Ledger") -> "Ledger":
        """What stands here beyond what stands in `other`, all of which stands here too; the range stays."""
        rest = self.copy()
        rest.count -= other.count
        missing = 0
        for topic, count in other.topics.items():
            have = rest.topics.get(topic, 0)
            missing += max(0, count - have)
            rest.topics[topic] = have - min(have, count)
        # A topic that is named there may be among the rest here, and the other way round.
        for topic in (REST, *list(rest.topics)):
            taken = min(missing, rest.topics.get(topic, 0))
            if taken:
                rest.topics[topic] -= taken
                missing -= taken
        rest.topics = {topic: count for topic, count in rest.topics.items() if count}
        return rest
