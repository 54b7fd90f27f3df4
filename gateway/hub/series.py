"""Series of numbers out of messages, thinned for a chart. Pure."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.hub.message import Message

MINUTE = 60.0
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

_decode = msgspec.json.Decoder().decode


class Source(NamedTuple):
    """Where a series comes from: the topics that carry it, and the numbers that one of their messages has.

    `name` tells one series from another, also after a restart. `numbers` is called in a thread of its own.
    """

    name: str
    topics: tuple[str, ...]
    numbers: Callable[[Message], Iterable[float]]


class Query(NamedTuple):
    """A span of Unix times, to be thinned to at most `points` rows."""

    source: Source
    since: float
    until: float
    points: int


class Series(NamedTuple):
    """Rows of [t, min, max, last], `t` being the Unix time of the last value; not `complete` where time ran out or a
    part is no longer stored."""

    rows: list[list[float]]
    complete: bool


class SeriesReader(Protocol):
    """Where numbers of the past come from. `stored` is for how many seconds back there may be any."""

    stored: float

    def query(self, query: Query, done: Callable[[Series], None]) -> bool:
        """Answer later, on the loop; False where so many wait that this one is refused."""


class Row(NamedTuple):
    """Values that were merged: Unix time of the last one, smallest, largest, last, how many."""

    at: float
    min: float
    max: float
    last: float
    samples: int

    def followed_by(self, other: "Row") -> "Row":
        """Both, `other` being the later."""
        return Row(
            other.at, min(self.min, other.min), max(self.max, other.max), other.last, self.samples + other.samples
        )


class Buckets:
    """Equal parts of a span of time; values may come in any order of parts, but in order within what `put` is told."""

    def __init__(self, since: float, until: float, points: int) -> None:
        self._since = since
        self._until = until
        self._points = points
        self._width = (until - since) / points
        self._rows: dict[int, Row] = {}

    def put(self, row: Row, *, earlier: bool = False) -> None:
        """Take in a row; `earlier` where it comes before what its part already has."""
        if not self._since <= row.at <= self._until:
            return
        part = min(self._points - 1, int((row.at - self._since) / self._width))
        before = self._rows.get(part)
        if before is not None:
            row = row.followed_by(before) if earlier else before.followed_by(row)
        self._rows[part] = row

    def rows(self) -> list[list[float]]:
        """[t, min, max, last] in order of time."""
        return [[round(r.at, 3), r.min, r.max, r.last] for _, r in sorted(self._rows.items())]


def number_of(value: Any) -> float | None:
    """A value as a number; None for what is none (true and false are none, and neither are nan and infinity)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def path_source(topic: str, path: str | None) -> Source:
    """The number at `path` (JMESPath) in the JSON of a topic; without a path the payload itself is the number.

    Raises ValueError where `path` is none.
    """
    find = _finder(path or "")

    def numbers(message: Message) -> Iterable[float]:
        try:
            number = number_of(find(_decode(message.payload)))
        except (ValueError, RecursionError):
            return ()  # not JSON, or the path does not go with what it holds (JMESPathError is a ValueError)
        return () if number is None else (number,)

    return Source(path_name(topic, path), (topic,), numbers)


def path_name(topic: str, path: str | None) -> str:
    """What tells this series from others."""
    return msgspec.json.encode(["path", topic, path or ""]).decode()


def _finder(path: str) -> Callable[[Any], Any]:
    if not path:
        return lambda value: value
    if _PLAIN.fullmatch(path):
        names = path.split(".")

        def walk(value: Any) -> Any:
            for name in names:
                if not isinstance(value, dict):
                    return None
                value = value.get(name)
            return value

        # What most paths are, at a twentieth of the price.
        return walk
    import jmespath  # only where a path needs it: an edge box has little memory

    try:
        compiled = jmespath.compile(path)
    except ValueError as error:
        raise ValueError(f"not a JMESPath: {' '.join(str(error).split())}") from None
    return compiled.search  # type: ignore[no-any-return]


def rows_by_minute(source: Source, messages: Iterable[Message]) -> dict[int, Row]:
    """The numbers of messages in offset order, merged by the minute (Unix time divided by 60)."""
    rows: dict[int, Row] = {}
    for message in messages:
        stamp = message.timestamp
        if stamp is None or message.topic not in source.topics:
            continue
        for number in source.numbers(message):
            minute = int(stamp // MINUTE)
            row = Row(stamp, number, number, number, 1)
            before = rows.get(minute)
            rows[minute] = row if before is None else before.followed_by(row)
    return rows


def rows_of(source: Source, messages: Iterable[Message], since: float, until: float) -> list[Row]:
    """The numbers of messages in offset order that came between two Unix times, one row each."""
    found = []
    for message in messages:
        stamp = message.timestamp
        if stamp is None or not since <= stamp <= until or message.topic not in source.topics:
            continue
        found += [Row(stamp, number, number, number, 1) for number in source.numbers(message)]
    return found
