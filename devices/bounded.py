"""A dictionary that cannot grow without end: what a broker can fill, a broker will fill."""

from typing import TypeVar

# Characters of a topic or name that a table remembers. MQTT allows 65,535 bytes: thousands of those would be gigabytes.
MAX_KEY = 512

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """At most `limit` entries: a new key beyond that takes the place of the oldest one."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= self.limit and key not in self:
            del self[next(iter(self))]
        super().__setitem__(key, value)
