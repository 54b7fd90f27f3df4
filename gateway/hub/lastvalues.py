"""The last value of every topic, bounded in topics and bytes, and the way that its next message takes."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from gateway.hub.message import Message
from gateway.hub.pace import SIZE, Pace, Room
from gateway.hub.way import Way

LOOKS = 64  # topics looked at for one that may go
OVERHEAD = 900  # bytes of a topic's entry, text, last Message, dict slot and watch (measured, CPython 3.11)

ROUTE, PLACE = 1000, 16  # bytes of the encoder of one form of a topic, and of one audience that gets it (measured)
QUARTER = 4  # the part of the memory that the ways of topics, and the paces of intervals, may take from the topics


class Topic:
    """`looked` is the offset of its last message when it was last looked at, `unwanted` the generation of observers in
    which nobody wanted it, `routes` and `paces` are where its messages go: None while nobody has asked.
    """

    __slots__ = ("last", "looked", "paces", "routed", "routes", "size", "unwanted")

    def __init__(self, looked: int) -> None:
        self.looked = looked
        self.unwanted = -1
        self.last: Message | None = None
        self.size = 0
        self.routes: list[Way] | None = None
        self.routed = 0  # bytes of the routes
        self.paces: list[Pace] | None = None  # of audiences that want a value per interval only


class LastValues(dict[str, Topic]):
    """By topic. At most `most` of them (those that were silent for long go first) in `limit` bytes.

    `memory` is the bytes that they take; whoever changes an entry counts them. `routed` is those of their ways to the
    audiences, `paces` counts what intervals need: from these, too, the limit keeps them.
    """

    def __init__(self, most: int, limit: int) -> None:
        super().__init__()
        self.most = most
        self.memory = 0
        self.routed = 0
        self.paces = Room()
        self.bound(limit)
        self.forgotten = 0
        self._roster: list[Topic] = []
        self._queue: deque[str] = deque()

    def bound(self, limit: int) -> None:
        """Keep to `limit` bytes from now on; `keep_bounds` makes it so."""
        self.limit = limit
        self.paces.most = limit // QUARTER // SIZE

    @property
    def over(self) -> bool:
        """Whether there is more than may be."""
        return len(self) > self.most or self.memory + self.routed + SIZE * self.paces.count > self.limit

    def meet(self, name: str, offset: int) -> Topic:
        """A topic that was not known."""
        topic = self[name] = Topic(offset)
        self._queue.append(name)
        self.memory += OVERHEAD
        return topic

    def restore(self, messages: list[Message]) -> None:
        """Take up the last values of an earlier run."""
        for message in messages[-self.most :]:
            topic = self.meet(message.topic, message.offset)
            topic.last, topic.size = message, len(message.payload)
            self.memory += topic.size
        self.keep_bounds()

    def last(self, wanted: Callable[[str], bool]) -> list[Message]:
        """The last values of the topics `wanted`, in offset order; a cleared topic (empty payload) has none."""
        found = [
            topic.last
            for name, topic in self.items()
            if topic.last is not None and (topic.size or topic.last.size) and wanted(name)
        ]
        found.sort(key=lambda message: message.offset)
        return found

    def last_of(self, topic: str) -> Message | None:
        """The last value of one topic."""
        entry = self.get(topic)
        return entry.last if entry is not None else None

    def holders(self, filters: Sequence[str]) -> Sequence[Topic]:
        """Whatever may hold the last value of a topic that one of `filters` matches, in no order: to be looked through.

        Those who ask for much share one list, and keep it as it was.
        """
        if not any("+" in filter or "#" in filter for filter in filters):
            return [topic for filter in dict.fromkeys(filters) if (topic := self.get(filter)) is not None]
        roster = self._roster
        if len(roster) != len(self):
            roster = self._roster = list(self.values())
        return roster

    def attend(self, topic: str) -> None:
        """Let the observer see the next message of `topic`, whatever it said before."""
        entry = self.get(topic)
        if entry is not None:
            entry.unwanted = -1

    def unroute(self, topics: Iterable[Topic] | None = None) -> None:
        """Have the next message of each of `topics`, of all by default, find its way anew."""
        for topic in self.values() if topics is None else topics:
            self.routed -= topic.routed
            topic.routes = topic.paces = None
            topic.routed = 0

    def route(self, topic: Topic, routes: list[Way], paces: list[Pace]) -> None:
        """Remember where the messages of `topic` go."""
        topic.routes, topic.paces = routes, paces or None
        topic.routed = sum(ROUTE + PLACE * len(way.audiences) for way in routes)
        self.routed += topic.routed

    def keep_bounds(self) -> None:
        """Let ways be forgotten, then topics, until the rest is within the bounds."""
        if self.routed > self.limit // QUARTER and self.over:
            self.unroute()
        while self and self.over:
            self._forget()

    def _forget(self) -> None:
        """Let a topic go that was silent for long: the first in the queue that has not spoken since it was looked at.

        At a price that does not grow with their number: a flood of new topics holds nobody up.
        """
        queue = self._queue
        for look in range(LOOKS):
            name = queue.popleft()
            topic = self[name]
            spoken = topic.last.offset if topic.last is not None else 0
            if topic.looked == spoken or look == LOOKS - 1:
                break
            topic.looked = spoken
            queue.append(name)
        del self[name]
        self._roster = []
        self.memory -= OVERHEAD + topic.size
        self.routed -= topic.routed
        self.forgotten += 1
