"""Topic names as they come off the wire, and the names that they get in the house."""

import logging
import re
from collections.abc import Sequence

from gateway.topics import matches, unshared, validate_topic

logger = logging.getLogger("gateway.upstream")

MAX_NAMES = 131_072
MAX_BYTES = 8 * 1024 * 1024
"""Of topics as they came; a name may have 64 KiB."""
MAX_WARNINGS = 10

# Characters that MQTT 5.0, 1.5.4 lets a receiver treat as malformed (Cc), and those that make a topic read as another.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class TopicNames(dict[bytes, str]):
    """Topic bytes → the topic's name with the upstream's prefix; "" where nobody gets it.

    A topic is judged at first sight only; then it is one look-up, and every message of a topic carries the very same
    str. Bounded: forgets everything when full, since a name costs little to judge again.
    """

    def __init__(
        self, upstream: str, prefix: str = "", topics: Sequence[tuple[str, Sequence[str]]] = (), own: bytes = b""
    ) -> None:
        """`topics` are the filters subscribed, each with the filters it excludes; `own` is the topic of the probe."""
        super().__init__()
        self._upstream = upstream
        self._prefix = prefix
        self._topics = [(unshared(filter), tuple(exclude)) for filter, exclude in topics]
        self._own = own
        self._malformed: set[bytes] = set()
        self._warnings = 0
        self._bytes = 0

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= MAX_NAMES or self._bytes > MAX_BYTES:
            self.clear()
            self._malformed.clear()
            self._bytes = 0
        self._bytes += len(raw)
        name = self[raw] = self._judge(raw)
        return name

    def is_malformed(self, raw: bytes) -> bool:
        """Whether a topic that got "" is no valid topic name (and not just excluded)."""
        return raw in self._malformed

    def _judge(self, raw: bytes) -> str:
        if self._own and raw == self._own:
            return ""
        try:
            topic = raw.decode()
            name = self._prefix + topic
            validate_topic(name)
            if control := _CONTROL.search(topic):
                raise ValueError(f"a topic holds no control character: U+{ord(control[0]):04X}")
        except ValueError as error:
            self._malformed.add(raw)
            self._warn(raw, error)
            return ""
        return "" if self._is_excluded(topic) else name

    def _is_excluded(self, topic: str) -> bool:
        """Whether every subscription that brings this topic excludes it."""
        bringing = [exclude for filter, exclude in self._topics if matches(filter, topic)]
        return bool(bringing) and all(any(matches(each, topic) for each in exclude) for exclude in bringing)

    def _warn(self, raw: bytes, error: ValueError) -> None:
        self._warnings += 1
        if self._warnings <= MAX_WARNINGS:
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            logger.warning(
                "upstream %s: messages of topic %s are dropped: %s%s",
                self._upstream,
                ascii(raw[:200]),
                why,
                "; further topics are only counted" if self._warnings == MAX_WARNINGS else "",
            )
