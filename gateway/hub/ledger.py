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
