"""MQTT topic names and topic filters: rules, matching, containment, and the trie (MQTT 5.0, section 4.7).

Pure functions over text. A topic filter may hold the wildcards `+` (one level) and `#` (all levels from here, the
parent included); a leading wildcard never matches a topic whose first level begins with `$`.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

MAX_BYTES = 65_535
MAX_LEVELS = 128

Key = TypeVar("Key", bound=Hashable)


def _check_text(text: str, what: str) -> None:
    if not text:
        raise ValueError(f"a {what} has at least one character")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ValueError(f"a {what} is well-formed Unicode: it holds a lone surrogate") from None
    if size > MAX_BYTES:
        raise ValueError(f"a {what} has at most {MAX_BYTES} bytes: this one has {size}")
    if "\0" in text:
        raise ValueError(f"a {what} holds no NUL character")
    if text.count("/") >= MAX_LEVELS:
        raise ValueError(f"a {what} has at most {MAX_LEVELS} levels: this one has {text.count('/') + 1}")


def validate_topic(topic: str) -> None:
    """Raises ValueError where `topic` is no topic name (MQTT 5.0, 4.7.1 and 4.7.3)."""
    _check_text(topic, "topic")
    if "+" in topic or "#" in topic:
        raise ValueError("a topic holds no wildcard: + and # belong into filters")


def validate_filter(filter: str) -> None:
    """Raises ValueError where `filter` is no topic filter (MQTT 5.0, 4.7.1 and 4.7.3)."""
    _check_text(filter, "topic filter")
    if not _is_wild(filter):
        return
    levels = filter.split("/")
    for number, level in enumerate(levels):
        if "#" in level and (level != "#" or number != len(levels) - 1):
            raise ValueError(f'"#" stands alone as the last level: "{shorten(filter)}"')
        if "+" in level and level != "+":
            raise ValueError(f'"+" stands alone in its level: "{shorten(filter)}"')


def shorten(text: str, limit: int = 80) -> str:
    """`text`, cut to `limit` characters for a message to people."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def unshared(filter: str) -> str:
    """The filter inside a shared subscription, `$share/GROUP/FILTER` (MQTT 5.0, 4.8.2), or the filter itself."""
    return filter.split("/", 2)[2] if filter.startswith("$share/") and filter.count("/") > 1 else filter


def matches(filter: str, topic: str) -> bool:
    """Whether a valid `filter` matches a valid `topic`."""
    if filter == topic:
        return True
    wanted, got = filter.split("/"), topic.split("/")
    if wanted[0] in ("+", "#") and got[0].startswith("$"):
        return False
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(got) or level not in ("+", got[number]):
            return False
    return len(wanted) == len(got)


def covers(allowed: str, wanted: str) -> bool:
    """Whether every topic that `wanted` matches is matched by `allowed` (both valid filters).

    Exact but for filters whose first level is empty; there it may say no where yes were true, never the reverse.
    """
    if allowed == "#":
        return not wanted.startswith("$")
    outer, inner = allowed.split("/"), wanted.split("/")
    if outer == ["+", "#"]:
        outer = ["#"]
    if inner[0].startswith("$") and outer[0] in ("+", "#"):
        return False
    for number, level in enumerate(outer):
        if level == "#":
            return True
        if number >= len(inner):
            return False
        if inner[number] == "#" or level not in ("+", inner[number]):
            return False
    return len(outer) == len(inner)


def overlaps(one: str, other: str) -> bool:
    """Whether some topic is matched by both filters."""
    left, right = one.split("/"), other.split("/")
    for first, second in ((left[0], right[0]), (right[0], left[0])):
        if first in ("+", "#") and second.startswith("$"):
            return False
    for number in range(max(len(left), len(right))):
        a = left[number] if number < len(left) else None
        b = right[number] if number < len(right) else None
        if a == "#" or b == "#":
            return True
        if a is None or b is None:
            return False
        if a != b and "+" not in (a, b):
            return False
    return True


class _Node(Generic[Key]):
    __slots__ = ("children", "keys")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Key]] = {}
        self.keys: set[Key] | None = None


class Trie(Generic[Key]):
    """Filters, each with the keys that hold it: finds the keys whose filters match a topic.

    Cost of a look-up grows with the levels of the topic and the wildcards met, not with the number of filters.
    Filters without a wildcard match one topic only, so they stand in a dict beside the tree.
    """

    def __init__(self) -> None:
        self._root: _Node[Key] = _Node()
        self._exact: dict[str, set[Key]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, filter: str, key: Key) -> None:
        """Let `key` hold `filter`; a second time changes nothing."""
        keys = self._keys(filter)
        if key not in keys:
            keys.add(key)
            self._count += 1

    def remove(self, filter: str, key: Key) -> None:
        """Take `filter` from `key`; branches that hold nothing any more go with it."""
        if not _is_wild(filter):
            held = self._exact.get(filter)
            if held is not None and key in held:
                held.discard(key)
                self._count -= 1
                if not held:
                    del self._exact[filter]
            return
        path: list[tuple[_Node[Key], str]] = []
        node = self._root
        for level in filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        if node.keys is None or key not in node.keys:
            return
        node.keys.discard(key)
        self._count -= 1
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.keys or child.children:
                break
            del parent.children[level]

    def add_all(self, filters: Iterable[str], key: Key) -> None:
        """Let `key` hold all of `filters`."""
        exact = self._exact
        for filter in filters:
            if "+" in filter or "#" in filter:
                self.add(filter, key)
                continue
            keys = exact.get(filter)
            if keys is None:
                keys = exact[filter] = set()
            if key not in keys:
                keys.add(key)
                self._count += 1

    def remove_all(self, filters: Iterable[str], key: Key) -> None:
        """Take all of `filters` from `key`."""
        exact = self._exact
        for filter in filters:
            keys = exact.get(filter)
            if keys is None:
                self.remove(filter, key)
            elif key in keys:
                keys.discard(key)
                self._count -= 1
                if not keys:
                    del exact[filter]

    def match(self, topic: str) -> set[Key]:
        """The keys that hold at least one filter matching `topic`."""
        levels = topic.split("/")
        found: set[Key] = set(self._exact.get(topic, ()))
        for node in self._nodes(levels):
            if node.keys:
                found |= node.keys
        return found

    def _keys(self, filter: str) -> set[Key]:
        if not _is_wild(filter):
            return self._exact.setdefault(filter, set())
        node = self._root
        for level in filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        if node.keys is None:
            node.keys = set()
        return node.keys

    def any(self, topic: str) -> bool:
        """Whether some filter matches `topic`."""
        return topic in self._exact or any(node.keys for node in self._nodes(topic.split("/")))

    def _nodes(self, levels: list[str]) -> Iterator[_Node[Key]]:
        stack = [(self._root, 0)]
        wild = not levels[0].startswith("$")
        while stack:
            node, depth = stack.pop()
            children = node.children
            if (depth or wild) and (rest := children.get("#")) is not None:
                yield rest
            if depth == len(levels):
                yield node
                continue
            if (depth or wild) and (one := children.get("+")) is not None:
                stack.append((one, depth + 1))
            level = levels[depth]
            if level not in ("+", "#") and (same := children.get(level)) is not None:
                stack.append((same, depth + 1))


def _is_wild(filter: str) -> bool:
    return "+" in filter or "#" in filter


FEW = 4


# Small: a client chooses the filters, and how long they are.
@lru_cache(maxsize=64)
def any_of(filters: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether one of `filters` matches a topic, at a price that does not grow with their number."""
    if len(filters) <= FEW:
        return lambda topic: any(matches(filter, topic) for filter in filters)
    trie: Trie[None] = Trie()
    for filter in filters:
        trie.add(filter, None)
    return trie.any
