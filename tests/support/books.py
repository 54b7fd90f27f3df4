"""The books of one client over all its connections: what it is owed, what it was told, what was named in gaps.

An offset is owed where a subscription covers it. One whose subscription ended while its replay was under way is neither
promised nor forbidden. Snapshots and replays of the past come beside what is owed, each as often as it was asked for.
"""

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.hub.log import EXPIRED
from gateway.topics import matches

if TYPE_CHECKING:
    from support.accounts import House, Line

matched = cache(matches)


class Entry:
    """A subscription: what is published after `start`, up to `end`. `firm` while all of it is promised."""

    def __init__(self, filter: str, start: int) -> None:
        self.filter = filter
        self.start = start
        self.end = 1 << 60
        self.firm = True
        self.live = 0  # the newest offset that came live

    def covers(self, offset: int, topic: str) -> bool:
        """Whether the message is one of this subscription's."""
        return self.start < offset <= self.end and matched(self.filter, topic)


class Asked:
    """What the subscribe of a number wants of the past, whatever else there is."""

    def __init__(self, number: int, filters: list[str], offsets: list[int], *, last: bool = False) -> None:
        self.number = number
        self.filters = set(filters)
        self.offsets = set(offsets)
        self.last = last


class Under:
    """A replay under way: `ordered` where its offsets rise, `sure` while it cannot have been called off."""

    def __init__(self, filters: list[str], *, ordered: bool) -> None:
        self.filters = set(filters)
        self.ordered = ordered
        self.reached = 0

    @property
    def sure(self) -> bool:
        return bool(self.filters)


class Books:
    """A client that resumes from its mark as protocol.md says, and checks every frame against its books."""

    def __init__(self, house: "House", mode: str, interval: float) -> None:
        self.line: Line | None = None
        self._house = house
        self._mode = mode
        self._interval = interval
        self._mark: tuple[str, int] | None = None
        self._table: dict[str, tuple[str, float]] = {}

    @property
    def connected(self) -> bool:
        return self.line is not None and self.line.alive

    def connect(self, filters: list[str], points: int | None = None) -> None:
        """Come for the first time, or again, with all that was subscribed to before."""
        house = self._house
        newest = house.log.newest
        self._entries: dict[str, Entry] = {}
        self._ended: list[Entry] = []
        self._counted = newest
        self._blob = b""
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._asked: list[Asked] = []
        self._called_off: Counter[int] = Counter()
        self._per_topic: dict[str, int] = {}
        self._named = 0
        self._unknown: list[tuple[int, int]] = []
        self._replays: dict[int, Under] = {}
        self._reached = 0
        self._commands = 0
        self._merging = False
        self.line = house.line(self._took)
        self._table = self._table or dict.fromkeys(filters, (self._mode, self._interval))
        wish: Any = "none"
        if self._mark is not None:
            wish = {"epoch": self._mark[0], "offset": self._mark[1]}
            if points is not None and len(set(self._table.values())) == 1:
                wish["points"] = points
        # One command for each way in which something is subscribed to.
        for way in dict.fromkeys(self._table.values()):
            if not self.connected:
                return
            self._subscribe([filter for filter, its in self._table.items() if its == way], wish, *way)

    def subscribe(self, filters: list[str], wish: Any, mode: str, interval: float) -> None:
        """Subscribe to something more, or to the same again in another way."""
        for filter in filters:
            self._table.pop(filter, None)
            self._table[filter] = mode, interval
        self._subscribe(filters, wish, mode, interval)

    def unsubscribe(self, filter: str) -> None:
        """Want no more of it."""
        if filter not in self._table:
            return
        del self._table[filter]
        entry = self._entries.pop(filter)
        entry.end = self._house.log.newest
        self._ended.append(entry)
        if self._replays:
            entry.firm = False
            published = self._house.published
            for asked in self._asked:
                if asked.number not in self._replays:
                    continue  # it was told all, or a gap has named the rest
                asked.filters.discard(filter)
                off = {o for o in asked.offsets if not any(matched(f, published[o - 1]) for f in asked.filters)}
                asked.offsets -= off
                self._called_off.update(off)
            for under in self._replays.values():
                under.filters.discard(filter)
            self._open = {offset for offset in self._open if self._owed(offset, published[offset - 1])}
        self._say(type="unsubscribe", id=0, topics=[filter])

    def settle(self) -> None:
        """All has been said: the books must be balanced."""
        newest, published = self._house.log.newest, self._house.published
        missing = self._missing(newest)
        excused = sum(
            offset not in self._seen and self._may_come(offset, published[offset - 1]) and offset not in self._open
            for offset in range(1, newest + 1)
        )
        # A topic that spoke while its last value was looked for has told a newer one.
        current = {message.offset for message in self._house.hub.values.last(lambda topic: True)}
        again = 0
        for asked in self._asked:
            for offset in asked.offsets:
                if self._unknowable(offset) or (asked.last and offset not in current):
                    excused += 1
                else:
                    again += 1
        assert missing + again <= self._named <= missing + again + excused, (
            f"{sorted(self._open)} are missing, {again} were not told again, {self._named} named, {excused} excused"
        )
        assert not self._replays

    def _say(self, **command: Any) -> None:
        assert self.line is not None
        assert self.line.session is not None
        self.line.session.receive(msgspec.json.encode(command), text=True)

    def _subscribe(self, filters: list[str], wish: Any, mode: str, interval: float) -> None:
        house = self._house
        epoch, start = house.log.epoch, house.log.newest
        self._commands += 1
        number = self._commands
        self._merging |= mode != "all" or interval > 0
        foreign = isinstance(wish, dict) and "epoch" in wish and wish["epoch"] != epoch
        if isinstance(wish, dict) and "epoch" in wish and not foreign:
            start = wish["offset"]
        if wish == "last" or foreign:
            last = house.hub.values.last(lambda topic: any(matches(f, topic) for f in filters))
            self._asked.append(Asked(number, filters, [m.offset for m in last], last=True))
        elif isinstance(wish, dict) and "count" in wish:
            held = range(house.oldest, start + 1)
            mine = [o for o in held if any(matched(f, house.published[o - 1]) for f in filters)]
            self._asked.append(Asked(number, filters, mine[-wish["count"] :]))
        if wish != "none":
            self._replays[number] = Under(filters, ordered="points" not in wish)
        for filter in filters:
            if filter not in self._entries:
                self._entries[filter] = Entry(filter, start)
                self._counted = min(self._counted, start)
        self._say(type="subscribe", id=number, topics=filters, replay=wish, mode=mode, interval=interval)

    def _missing(self, until: int) -> int:
        """How many offsets this client is owed on this connection, as far as anybody knows, and has not got."""
        published = self._house.published
        for offset in range(self._counted + 1, until + 1):
            if offset not in self._seen and self._owed(offset, published[offset - 1]):
                self._open.add(offset)
        self._counted = max(self._counted, until)
        return sum(offset <= until for offset in self._open)

    def _owed(self, offset: int, topic: str) -> bool:
        everything = (*self._entries.values(), *self._ended)
        return any(e.firm and e.covers(offset, topic) for e in everything) and not self._unknowable(offset)

    def _may_come(self, offset: int, topic: str, *, firm: bool = False) -> bool:
        everything = (*self._entries.values(), *self._ended)
        return any((e.firm or not firm) and e.covers(offset, topic) for e in everything)

    def _unknowable(self, offset: int) -> bool:
        return any(first <= offset <= last for first, last in self._unknown)

    def _due(self, until: int) -> None:
        missing = self._missing(until)
        assert missing <= self._named, f"up to {until}: {missing} are missing, {self._named} named"

    def _took(self, data: bytes) -> None:
        self._blob += data
        while (end := _frame_end(self._blob)) is not None:
            head = 2 if self._blob[1] < 126 else 4 if self._blob[1] == 126 else 10
            told = msgspec.json.decode(self._blob[head:end])
            self._blob = self._blob[end:]
            getattr(self, "_" + told["type"], self._other)(told)
        if self._reached:
            self._due(self._reached)
            self._reached = 0

    def _message(self, told: dict[str, Any]) -> None:
        offset, topic = told["offset"], told["topic"]
        assert self._house.published[offset - 1] == topic
        if told.get("replay"):
            assert self._replays, f"{offset} is replayed while no replay is under way"
            under = next(iter(self._replays.values()))
            if under.sure and under.ordered:
                assert offset > under.reached, f"a replay went back to {offset}"
                under.reached = offset
        # Those first that have to come: a last value may be left to a newer one.
        asking = sorted((asked for asked in self._asked if offset in asked.offsets), key=lambda asked: asked.last)
        fresh = offset not in self._seen
        if fresh and (self._may_come(offset, topic, firm=True) or (not asking and self._may_come(offset, topic))):
            # Which of the two a message is that is owed and was asked for besides, nobody can tell, and need not.
            self._seen.add(offset)
            self._open.discard(offset)
        elif asking:
            asking[0].offsets.discard(offset)
        else:
            twice = offset in self._seen
            assert self._called_off[offset] > 0, f"{offset} " + ("twice" if twice else "was not asked for")
            self._called_off[offset] -= 1
        if not told.get("replay"):
            self._live(offset, topic)

    def _live(self, offset: int, topic: str) -> None:
        assert offset > self._per_topic.get(topic, 0), f"{topic} went back to {offset}"
        self._per_topic[topic] = offset
        if self._merging:
            return
        for entry in self._entries.values():
            if entry.covers(offset, topic):
                assert offset > entry.live, f"{entry.filter} went back to {offset}"
                entry.live = offset
        if not self._replays:
            self._reached = offset

    def _gap(self, told: dict[str, Any]) -> None:
        assert 1 <= told["from"] <= told["to"] <= self._house.log.newest or told["count"] is None
        if told["count"] is None:
            first, last = told["from"], told["to"]
            assert told["reason"] != EXPIRED or last < self._house.oldest, f"{last} is still there"
            self._unknown.append((first, last))
            self._open -= set(range(first, last + 1))
            return
        assert sum(told["topics"].values()) == told["count"]
        assert told["reason"] != "interval" or "alarm" not in told["topics"], "an alarm was merged"
        self._named += told["count"]

    def _replayed(self, told: dict[str, Any]) -> None:
        del self._replays[told["id"]]

    def _heartbeat(self, told: dict[str, Any]) -> None:
        self._due(told["offset"])
        self._mark = self._house.log.epoch, told["offset"]

    def _other(self, told: dict[str, Any]) -> None:
        assert told["type"] in ("welcome", "ok", "rate"), told


def _frame_end(blob: bytes) -> int | None:
    """Where the first unmasked text frame ends (RFC 6455, 5.2), None while it is not whole."""
    if len(blob) < 4:
        return None
    size, at = blob[1], 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(blob[2 : 2 + width], "big"), 2 + width
    return at + size if len(blob) >= at + size else None
