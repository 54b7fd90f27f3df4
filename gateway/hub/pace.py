"""`interval`: at most one value per topic in that time, the newest; merged once per audience. Pure.

The first value after a quiet interval goes out at once. What comes within the interval is held, newer in place of
older, until the time is over. What was merged is summed up in one gap per heartbeat interval.
"""

from collections.abc import Callable
from typing import Protocol

from gateway.hub.ledger import Ledger
from gateway.hub.message import Message
from gateway.hub.wheel import Wheel

REASON = "interval"
LEAST = 256  # topics known before anybody looks whether some of them have gone quiet
SIZE = 256  # bytes of a Pace and its places in dicts and lists (measured, CPython 3.11)


class Debtor(Protocol):
    """A member of an audience, as far as it is owed a gap."""

    def owe(self, ledger: Ledger) -> None:
        """Tell the client, in its place behind what already waits, what it did not get."""


class Room:
    """How many paces there are in all, and how many there may be.

    Each counts itself for as long as it lives: a topic that finds its way anew may drop one, and so may a pacer.
    """

    __slots__ = ("count", "most")

    def __init__(self, most: int = 1 << 30) -> None:
        self.count = 0
        self.most = most


class Pace:
    """One topic of one audience: held back, or free to go. It is on the wheel only while something is held.

    `until` is the time up to which the last value stands.
    """

    __slots__ = ("_pacer", "_room", "encode", "held", "interval", "slot", "topic", "until")

    def __init__(self, pacer: "Pacer", topic: str, encode: Callable[[Message], bytes], interval: float) -> None:
        self.topic = topic
        self.encode = encode
        self.interval = interval
        self.held: Message | None = None
        self.slot: int | None = None
        self.until = float("-inf")
        self._pacer = pacer
        self._room = pacer.room
        self._room.count += 1

    def __del__(self) -> None:
        self._room.count -= 1

    def take(self, message: Message, now: float) -> None:
        """The next message of the topic."""
        if self.held is None:
            if now >= self.until:
                self._pacer.run(self, now)
                self._pacer.release(self, message)
                return
            self._pacer.hold(self)
        else:
            self._pacer.merged(self.held, now)
        self.held = message
        self._pacer.changed()

    def due(self, now: float) -> None:
        held, self.held = self.held, None
        self._pacer.run(self, now)
        if held is not None:
            self._pacer.release(self, held)


class _Bill:
    """The time at which the members are told what was merged."""

    __slots__ = ("_pacer", "slot")

    def __init__(self, pacer: "Pacer") -> None:
        self.slot: int | None = None
        self._pacer = pacer

    def due(self, now: float) -> None:
        self._pacer.settle()


class Pacer:
    """All topics of an audience that have an interval, and what its members are owed.

    `members` maps each to the newest offset at its joining: what is older is none of its business. `out` lets a message
    go to those members who joined before it (None: to all). `period` is in seconds.
    """

    def __init__(
        self,
        members: "dict[Debtor, int]",
        *,
        wheel: Wheel,
        period: float,
        out: "Callable[[bytes, Message, list[Debtor] | None], None]",
        room: Room | None = None,
    ) -> None:
        self.room = room or Room()
        self._members = members
        self._wheel = wheel
        self.period = period
        self._out = out
        self._known: dict[str, Pace] = {}
        self._most = LEAST
        self._holding: dict[str, Pace] = {}
        self._ledger = Ledger(REASON)
        self._bill = _Bill(self)
        # What stands in the ledger and is none of a later member's business.
        self._foreign: dict[Debtor, Ledger] = {}
        self._last_join = 0
        self._floor: int | None = None

    def __len__(self) -> int:
        """Topics whose interval may still run."""
        return len(self._known)

    def pace(self, topic: str, encode: Callable[[Message], bytes], interval: float) -> Pace | None:
        """The pace of a topic: the one that may still run, or a new one; None where there is no room for more."""
        pace = self._known.get(topic)
        if pace is None:
            return Pace(self, topic, encode, interval) if self.room.count < self.room.most else None
        pace.encode, pace.interval = encode, interval
        return pace

    def free(self, topic: str) -> None:
        """From now on `topic` goes out as it comes: what is held goes first."""
        pace = self._known.pop(topic, None)
        if pace is None:
            return
        self._holding.pop(topic, None)
        self._wheel.remove(pace)
        held, pace.held = pace.held, None
        if held is not None:
            self.release(pace, held)

    def floor(self, member: Debtor) -> int | None:
        """The lowest offset that is held for `member`, or merged and not named to it; None where nothing is."""
        since = self._members[member]
        if self._floor is None:
            offsets = [pace.held.offset for pace in self._holding.values() if pace.held is not None]
            if self._ledger.count:
                offsets.append(self._ledger.first)
            self._floor = min(offsets, default=0)
        if not self._floor or self._floor > since:
            return self._floor or None
        # Something is from before its time.
        held = [p.held.offset for p in self._holding.values() if p.held is not None and p.held.offset > since]
        foreign = self._foreign.get(member)
        if self._ledger.count > (foreign.count if foreign is not None else 0):
            held.append(max(self._ledger.first, since + 1))
        return min(held, default=None)

    def joined(self, member: Debtor) -> None:
        """`member` is among the members now."""
        self._last_join = max(self._last_join, self._members[member])
        if self._ledger.count:
            self._foreign[member] = self._ledger.copy()

    def left(self, member: Debtor, since: int) -> list[tuple[Pace, Message]]:
        """`member` goes elsewhere: it is told what it was owed; what is held for it, in offset order."""
        owed = self._owed(self._ledger, member)
        self.gone(member)
        if owed.count:
            member.owe(owed)
        held = [(p, p.held) for p in self._holding.values() if p.held is not None and p.held.offset > since]
        held.sort(key=lambda each: each[1].offset)
        return held

    def gone(self, member: Debtor) -> None:
        """`member` is no more."""
        self._foreign.pop(member, None)

    def end(self) -> None:
        """The audience has no members any more."""
        for pace in self._holding.values():
            self._wheel.remove(pace)
            pace.held = None
        self._wheel.remove(self._bill)
        self._holding.clear()
        self._known.clear()
        self._ledger.take()
        self._floor = None

    def settle(self) -> None:
        """Tell every member what was merged for it."""
        self._wheel.remove(self._bill)
        ledger = self._ledger.take()
        foreign, self._foreign = self._foreign, {}
        self._floor = None
        if not ledger.count:
            return
        for member in list(self._members):
            owed = ledger.less(foreign[member]) if member in foreign else ledger
            if owed.count:
                member.owe(owed)

    def run(self, pace: Pace, now: float) -> None:
        """Let the interval of `pace` begin."""
        pace.until = now + pace.interval
        self._holding.pop(pace.topic, None)
        known = self._known
        known[pace.topic] = pace
        if len(known) > self._most:
            self.purge(now)

    def purge(self, now: float) -> None:
        """Forget the topics that have gone quiet."""
        known = self._known
        for quiet in [each for each in known.values() if each.until < now and each.held is None]:
            del known[quiet.topic]
        self._most = max(LEAST, 2 * len(known))

    def hold(self, pace: Pace) -> None:
        """Something waits for the end of the interval of `pace`."""
        self._holding[pace.topic] = pace
        self._wheel.add(pace, pace.until)

    def changed(self) -> None:
        """What is held has changed."""
        self._floor = None

    def release(self, pace: Pace, message: Message) -> None:
        """Let `message` go out."""
        self._floor = None
        offset = message.offset
        if offset > self._last_join:
            self._out(pace.encode(message), message, None)
            return
        line = [member for member, since in self._members.items() if since < offset]
        if line:
            self._out(pace.encode(message), message, line)

    def merged(self, message: Message, now: float) -> None:
        """`message` goes to nobody."""
        self._floor = None
        topic, offset = message.topic, message.offset
        if not self._ledger.count:
            self._wheel.remove(self._bill)
            self._wheel.add(self._bill, now + self.period)
        self._ledger.add(topic, offset)
        if offset <= self._last_join:
            for member, since in self._members.items():
                if since >= offset:
                    self._foreign.setdefault(member, Ledger(REASON)).add(topic, offset)

    def _owed(self, ledger: Ledger, member: Debtor) -> Ledger:
        foreign = self._foreign.get(member)
        return ledger.less(foreign) if foreign is not None else ledger.copy()
