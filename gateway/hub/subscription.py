"""What a client asked for, and what of it makes the bytes that it gets differ from another's."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from gateway.hub.message import Message
from gateway.topics import matches


class Subscription(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """One filter of a client, with what it asked for.

    `latest`: only the newest value per topic matters whenever the client is behind. `interval` in seconds (0: every
    message). `readings` and `data` say what a message shows. `copy` tells several to the same filter apart, in a
    dialect where each has its own copy of a message; "" elsewhere.

    Not tracked by the garbage collector: a thousand clients with a hundred filters each would make every full
    collection take a tenth of a second longer.
    """

    filter: str
    latest: bool = False
    interval: float = 0.0
    readings: bool = False
    data: bool = True
    copy: str = ""

    @property
    def key(self) -> str:
        """What names it among a client's own."""
        return key_of(self.filter, self.copy)


def key_of(filter: str, copy: str) -> str:
    """What names a subscription among a client's own: its filter, which holds no NUL, and which copy it is."""
    return f"{filter}\0{copy}" if copy else filter


def filter_of(key: str) -> str:
    """The filter in a key."""
    return key.partition("\0")[0]


@lru_cache(maxsize=4096)
def shared(filter: str, latest: bool, interval: float, readings: bool, data: bool, copy: str = "") -> Subscription:
    """The Subscription that asks for this: one object, filter included, for all who asked alike lately."""
    return Subscription(filter, latest, interval, readings, data, copy)


class View(NamedTuple):
    """What a message shows to an audience, resolved for one topic: the most demanding subscription wins.

    `replay` marks what is told again.
    """

    readings: bool = False
    data: bool = True
    replay: bool = False


class Variant(Protocol):
    """A dialect's encoding of messages: equal variants make equal bytes."""

    def __hash__(self) -> int: ...

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        """The function that makes the frame of a message of `topic`."""


class AudienceKey:
    """All that makes bytes differ: the variant, the whole table of subscriptions, and the role's denies."""

    __slots__ = ("_hash", "denies", "table", "variant")

    def __init__(self, variant: Hashable, table: tuple[Subscription, ...], denies: tuple[str, ...] = ()) -> None:
        self.variant = variant
        self.table = table
        self.denies = denies
        self._hash = hash((variant, table, denies))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, AudienceKey) or self._hash != other._hash:
            return False
        return (self.variant, self.table, self.denies) == (other.variant, other.table, other.denies)

    @property
    def filters(self) -> list[str]:
        """The filters of the table."""
        return [subscription.filter for subscription in self.table]

    def interval(self, topic: str) -> float:
        """How long, in seconds, a value of `topic` stands; 0: every message is wanted."""
        return min((s.interval for s in self._matching(topic)), default=0.0)

    def latest(self, topic: str) -> bool:
        """Whether only the newest value of `topic` matters."""
        mine = self._matching(topic)
        return bool(mine) and all(s.latest for s in mine)

    def view(self, topic: str) -> View:
        """What a message of `topic` shows."""
        mine = self._matching(topic)
        return View(any(s.readings for s in mine), any(s.data for s in mine))

    def wants(self, topic: str) -> bool:
        """Whether a message of `topic` goes to this audience."""
        return any(matches(s.filter, topic) for s in self.table) and not any(matches(d, topic) for d in self.denies)

    def _matching(self, topic: str) -> list[Subscription]:
        return [s for s in self.table if matches(s.filter, topic)]
