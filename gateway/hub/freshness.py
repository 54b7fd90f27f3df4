"""Which topics have gone silent: by a time that was set for them, or by their own rhythm, on the monotonic clock.

A message of a topic whose rhythm is known costs nothing here: when its time is up, the offset of its last value tells
when it was heard, by marks of the newest offset that are set at every beat of the pulse. Only topics that are being
learned, or are stale, are looked at as their messages come.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

from gateway.hub.marks import Marks
from gateway.hub.message import Message
from gateway.hub.rhythm import LEAST, Rhythm
from gateway.hub.staleness import tells_of_doors
from gateway.hub.wheel import GRAIN, Wheel
from gateway.pulse import BEAT, until_beat

MARK = BEAT  # seconds between marks, and between looks: a topic is called stale up to two of them late, never too early
LOOKS = 64  # topics looked at to make room for a new one
AGAIN = 3600.0  # seconds after which a rhythm is looked at again, or looked for again


class Change(NamedTuple):
    """A topic went silent or speaks again; times in seconds."""

    topic: str
    stale: bool
    age: float
    stale_after: float


class Topics(Protocol):
    """The last values, as far as freshness looks at them."""

    def last(self, wanted: Callable[[str], bool]) -> list[Message]:
        """The last values of the topics `wanted`."""

    def last_of(self, topic: str) -> Message | None:
        """The last value of one topic."""

    def attend(self, topic: str) -> None:
        """Let the observer see the next message of `topic`."""


class _Watch:
    """One topic. `after` is None while nothing is known; `checked` when it was last known to have spoken."""

    __slots__ = ("_house", "after", "checked", "fixed", "learned_at", "offset", "rhythm", "slot", "stale", "topic")

    def __init__(self, house: "Freshness", topic: str, after: float | None, now: float) -> None:
        self.topic = topic
        self.after = after
        self.fixed = after is not None
        self.rhythm = None if self.fixed else Rhythm()
        self.checked = now
        self.offset = 0
        self.learned_at = now
        self.stale = False
        self.slot: int | None = None
        self._house = house

    def due(self, now: float) -> None:
        self._house.due(self, now)


class Freshness:
    """`limits` says a topic's `stale_after`: seconds, or None to learn it; `steady` whether a message's topic may have
    a rhythm at all. `changed` hears of what went stale or fresh: within `observe` even, so in the middle of a turn.

    `clock` is monotonic seconds. `most` bounds the topics watched.
    """

    def __init__(
        self,
        topics: Topics,
        wheel: Wheel,
        *,
        newest: Callable[[], int],
        limits: Callable[[str], float | None],
        steady: Callable[[Message], bool],
        changed: Callable[[Change], None],
        clock: Callable[[], float],
        most: int = 20_000,
    ) -> None:
        self.most = most
        self._topics = topics
        self._wheel = wheel
        self._newest = newest
        self._limits = limits
        self._steady = steady
        self._changed = changed
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._stale: dict[str, _Watch] = {}
        self._queue: deque[str] = deque()
        self._marks = Marks()

    generation = 0

    def stale(self) -> Iterator[Change]:
        """The topics that are stale, one by one: those that speak before they are come to are left out."""
        for watch in list(self._stale.values()):
            if watch.stale:
                yield _change(watch, self._clock())

    def relimit(self, limits: Callable[[str], float | None]) -> None:
        """Go by these times from now on, for topics that are silent already too."""
        self._limits = limits
        now = self._clock()
        for watch in list(self._watches.values()):
            after = limits(watch.topic)
            if after == (watch.after if watch.fixed else None):
                continue
            if watch.stale:
                age = now - watch.checked
                if after is not None and age >= after:
                    watch.after, watch.fixed = after, True
                    continue
                # It was so by a time that counts no more.
                watch.stale = False
                del self._stale[watch.topic]
                assert watch.after is not None
                self._changed(Change(watch.topic, False, age, watch.after if after is None else after))
            if after is None:
                self._forget(watch)
                self._topics.attend(watch.topic)
                continue
            watch.after, watch.fixed, watch.rhythm = after, True, None
            self._wheel.remove(watch)
            self._look_at(watch, now)
        for message in self._topics.last(lambda topic: topic not in self._watches and limits(topic) is not None):
            if len(self._watches) >= self.most:
                return
            watch = self._watch(message.topic, limits(message.topic), now)
            watch.offset = message.offset
            if not message.retained:
                watch.checked = self._marks.heard_by(message.offset, now)
            self._look_at(watch, now)

    def start(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """Set marks from now on."""
        self.mark()
        later(until_beat(self._clock(), MARK), partial(self.start, later))

    def mark(self) -> None:
        """Called every `MARK` seconds: whatever has its offset by now was heard by now."""
        self._marks.set(self._newest(), self._clock())

    def observe(self, message: Message) -> bool:
        """See a message; False where the next one of its topic need not be seen."""
        topic = message.topic
        watch = self._watches.get(topic)
        if watch is None:
            return self._begin(message)
        if message.retained:
            return (
                watch.stale or watch.rhythm is not None
            )  # kept by the broker since nobody knows when: no sign of life
        if not message.payload and not message.size:
            self._forget(watch)
            return False
        if not watch.stale and watch.rhythm is None:
            return False
        self._heard(watch, message, self._clock())
        return watch.rhythm is not None and (watch.after is not None or watch.slot is None)

    def due(self, watch: _Watch, now: float) -> None:
        """The time of `watch` is up."""
        last = self._topics.last_of(watch.topic)
        if last is None:
            self._forget(watch)
            return
        if watch.rhythm is not None and watch.after is None:
            self._topics.attend(watch.topic)
            return
        if last.offset != watch.offset:
            watch.offset = last.offset
            # Of a retained one nobody knows the age: it buys one more period, no more.
            watch.checked = now if last.retained else max(watch.checked, self._marks.heard_by(last.offset, now))
        after = watch.after
        if after is None:
            # It had no rhythm when it was looked for.
            watch.rhythm = Rhythm()
            self._topics.attend(watch.topic)
            return
        if now - watch.checked < after:
            if not watch.fixed and watch.rhythm is None and now - watch.learned_at >= AGAIN:
                watch.rhythm = Rhythm()
                self._topics.attend(watch.topic)
            self._look_at(watch, watch.checked + after)
            return
        watch.stale = True
        self._stale[watch.topic] = watch
        self._topics.attend(watch.topic)
        self._changed(_change(watch, now))

    def _begin(self, message: Message) -> bool:
        """Watch a topic that is new; whether its next message has to be seen for that."""
        topic, now = message.topic, self._clock()
        after = self._limits(topic)
        if after is None:
            if tells_of_doors(topic):
                return False
            if message.retained or not message.payload:
                return True
        if len(self._watches) >= self.most and not self._make_room():
            return False
        watch = self._watch(topic, after, now)
        watch.offset = message.offset
        if after is not None:
            self._look_at(watch, now + after)
        elif watch.rhythm is not None:
            watch.rhythm.arrived(now)
            self._wheel.add(watch, now + LEAST)
        return False

    def _heard(self, watch: _Watch, message: Message, now: float) -> None:
        if watch.stale:
            watch.stale = False
            del self._stale[watch.topic]
            age = now - watch.checked
            watch.checked, watch.offset = now, message.offset
            assert watch.after is not None
            self._changed(Change(watch.topic, False, age, watch.after))
            if not watch.fixed and watch.rhythm is None:
                watch.rhythm = Rhythm()  # it may have another one now; until that is known the old one counts
            self._wheel.remove(watch)
            self._look_at(watch, now + watch.after)
        watch.checked, watch.offset = now, message.offset
        rhythm = watch.rhythm
        if rhythm is None:
            return
        learned = rhythm.arrived(now)
        if learned is not None or rhythm.hopeless:
            watch.rhythm = None
            watch.learned_at = now
            watch.after = learned if learned is not None and self._steady(message) else None
            self._wheel.remove(watch)
            self._look_at(watch, now + (watch.after if watch.after is not None else AGAIN))
        elif watch.after is None:
            self._wheel.remove(watch)
            if not rhythm.slow:
                # What comes sooner counts as one with this: not to see it costs less, even with a wake-up.
                self._wheel.add(watch, now + LEAST)

    def _look_at(self, watch: _Watch, when: float) -> None:
        # With the next mark: topics by the hundred would each wake the processor at a time of its own.
        self._wheel.add(watch, math.ceil(when / MARK) * MARK - GRAIN / 2)

    def _forget(self, watch: _Watch) -> None:
        self._wheel.remove(watch)
        self._watches.pop(watch.topic, None)
        if self._stale.pop(watch.topic, None) is not None:
            # Whoever was told that it is silent would believe so for ever: when it speaks again it is a new topic.
            watch.stale = False
            self._changed(Change(watch.topic, False, self._clock() - watch.checked, watch.after or 0.0))

    def _make_room(self) -> bool:
        """Let go of a topic that has no last value any more; whether there is room for another one now."""
        queue = self._queue
        for _ in range(min(LOOKS, len(queue))):
            watch = self._watches.get(queue.popleft())
            if watch is None:
                continue
            if self._topics.last_of(watch.topic) is None:
                self._forget(watch)
                break
            queue.append(watch.topic)
        return len(self._watches) < self.most

    def _watch(self, topic: str, after: float | None, now: float) -> _Watch:
        watch = self._watches[topic] = _Watch(self, topic, after, now)
        self._queue.append(topic)
        if len(self._queue) > 2 * len(self._watches) + LOOKS:
            self._queue = deque(self._watches)  # names of topics that were cleared, and came again
        return watch


def _change(watch: _Watch, now: float) -> Change:
    return Change(watch.topic, True, now - watch.checked, watch.after or 0.0)
