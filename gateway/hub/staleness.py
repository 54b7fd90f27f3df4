"""After what time a topic counts as silent: what the configuration says, and which topics may have a rhythm at all."""

import re
from collections.abc import Callable, Iterable

from devices.mapping import Filter
from gateway.hub.message import Message
from gateway.hub.readings import Readings

NEVER = frozenset({"contact", "opening", "motion", "occupancy", "presence", "switch", "tamper", "leak", "water_leak"})
"""Quantities that have no rhythm: doors are opened when somebody comes."""

_WORDS = re.compile(
    r"(?:^|[/_\-.])(?:contact|motion|occupancy|presence|switch|tamper|leak|door|window)(?:$|[/_\-.0-9])", re.IGNORECASE
)


def tells_of_doors(topic: str) -> bool:
    """Whether a topic has by its name no rhythm that could be learned."""
    return _WORDS.search(topic) is not None


def limits_of(rules: Iterable[tuple[str, float | None]]) -> Callable[[str], float | None]:
    """`stale_after` by topic, from (filter, seconds or None) in the order of the file; the first that says one wins."""
    fixed = [(Filter(filter), after) for filter, after in rules if after is not None]

    def limit(topic: str) -> float | None:
        return next((after for filter, after in fixed if filter.match(topic) is not None), None)

    return limit


def steady_by(readings: Readings) -> Callable[[Message], bool]:
    """Whether a message's topic may have a rhythm: none whose every message counts, none that tells of doors."""

    def steady(message: Message) -> bool:
        return not readings.kept(message.topic) and all(r.quantity not in NEVER for r in readings.of(message))

    return steady
