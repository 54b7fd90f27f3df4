"""The hub: from the log to the audiences' batches, and one write per client and turn.

Knows no socket and no dialect by name. What is sacred here: per message one look-up and one encode per variant in use,
per delivery one `send`; everything else is per turn or per change of a subscription.
"""

from collections import deque
from collections.abc import Callable

from gateway.hub.audience import Audience
from gateway.hub.breath import Breath
from gateway.hub.budget import Budget
from gateway.hub.lastvalues import LastValues
from gateway.hub.lones import Lones
from gateway.hub.message import Message
from gateway.hub.ports import Observer
from gateway.hub.router import Router
from gateway.hub.row import Turnover, Viewer
from gateway.hub.subscription import AudienceKey
from gateway.hub.volley import Volley
from gateway.hub.way import Way
from gateway.hub.wheel import Wheel

SLICE = 0.004  # seconds of a flush before heartbeats and ingest have their turn again
FEW = 8  # audiences served between two looks at the clock
QUIET = 0.005  # seconds after a flush, or as long as that took, in which a message waits for others to go with

Append = Callable[[list[Message], Callable[[], None] | None], None]


class Hub:
    """Last values, audiences, and the flush.

    `schedule` runs a function in the loop's next turn, `clock` is monotonic seconds. `last_values` bounds the topics
    known (those that were silent for long go first), `last_values_memory` their bytes. `kept` tells topics whose
    messages are never merged; `observer` sees the messages that it wants before anybody else. `later` runs a function
    after so many seconds, for intervals; `period` is how often, in seconds, a client is told what they merged.
    `budget` counts what the clients that are behind take. `volley` sends to many at once, where it can.
    """

    def __init__(
        self,
        *,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        last_values: int = 20_000,
        last_values_memory: int = 48 * 1024 * 1024,
        kept: Callable[[str], bool] | None = None,
        observer: Observer | None = None,
        later: Callable[[float, Callable[[], None]], object] | None = None,
        period: float = 20.0,
        budget: Budget | None = None,
        volley: Volley | None = None,
    ) -> None:
        self.values = LastValues(last_values, last_values_memory)
        self.received = 0
        self.settled = 0
        self.turns = 0
        self.latency: Callable[[float], None] | None = None  # told once a turn: seconds until every client had it
        self.wheel = Wheel(clock, later)
        self._period = period
        self._schedule = schedule
        self._clock = clock
        self._kept = kept
        self._observer = observer
        self._breath = Breath(budget or Budget(), clock)
        self._turnover = Turnover()
        self._volley = volley
        self._router = Router(self.values, keeps=self.keeps, clock=clock, turnover=self._turnover)
        self._audiences: dict[AudienceKey, Audience] = {}
        self._dirty: deque[Audience] = deque()
        self._scheduled = False
        self._behind = False
        self._full = self._fresh = 0
        self._ended_at = float("-inf")
        self._quiet = QUIET
        self._newest = 0
        self._taken_at = 0.0
        self._few: deque[tuple[Message, list[Way]]] = deque()  # messages of the open turn, not handed on yet
        self._reach = 0  # how many deliveries they are
        self._lones = Lones(give=self._give, full=self._note_full, volley=volley)
        self._serve = self._lones.serve
        self._gone_delivered = 0

    @property
    def busy(self) -> bool:
        """Whether more ingest would only pile up: leave it in the broker's socket for a moment.

        So while a flush has run out of time before it reached every client, and for one breath when a flood has
        filled some client's socket: it is then for the client's process to run, not for us.
        """
        return self._behind or self._breath.holds()

    @property
    def delivered(self) -> int:
        """Messages handed to clients, ever."""
        self.settle()
        return self._gone_delivered + sum(a.delivered for a in self._audiences.values())

    @property
    def unpaced(self) -> int:
        """How often a topic went to viewers as it came, for want of room for another interval."""
        return self._router.unpaced

    @property
    def audiences(self) -> int:
        """How many different audiences there are."""
        return len(self._audiences)

    def take(self, messages: list[Message]) -> None:
        """Take in what the log hands on: remember it as last value, and encode it for whoever wants it."""
        values, known = self.values, self.values.get
        dirty = self._dirty
        observer = self._observer
        generation = observer.generation if observer is not None else -1
        grown = 0
        for message in messages:
            topic = known(message.topic)
            if topic is None:
                topic = values.meet(message.topic, message.offset)
            size = len(message.payload)
            if size != topic.size:
                grown += size - topic.size
                topic.size = size
            if message.timestamp is None and topic.last is not None and topic.last.payload == message.payload:
                # A broker tells what it retains at every subscribe: an equal value is as old as it was.
                message.timestamp = topic.last.timestamp
            topic.last = message
            if topic.unwanted != generation and observer is not None and not observer.observe(message):
                topic.unwanted = generation
            routes = topic.routes
            if routes is None:
                routes = self._router.route(topic, message.topic)
            if routes and (dirty or not self._are_few(message, routes)):
                for way in routes:
                    frame = way.encode(message)
                    for audience in way.audiences:
                        audience.frames.append(frame)
                        audience.messages.append(message)
                        if not audience.dirty:
                            audience.dirty = True
                            dirty.append(audience)
            if topic.paces is not None:
                now = self._clock()
                for pace in topic.paces:
                    pace.take(message, now)
        values.memory += grown
        self.received += len(messages)
        self._newest = messages[-1].offset
        if values.over:
            values.keep_bounds()
        if dirty or self._few:
            self._fresh += len(messages)
            if not self._taken_at:
                self._taken_at = self._clock()
            if not self._scheduled:
                self._scheduled = True
                self._schedule(self.flush)
        else:
            self.settled = self._newest

    def at_once(self, append: Append, messages: list[Message], durable: Callable[[], None] | None) -> None:
        """Let `append` put `messages` into the log, and hand out what it hands on before the loop's next turn.

        Where a flush is scheduled already, or one has just been, they wait for the next turn: in a flood every turn
        that gathers more is a write less for every client. At a pace that leaves the loop idle for longer than it is
        busy, a second turn would only be another wake-up.
        """
        if self._scheduled or self._clock() - self._ended_at < self._quiet:
            append(messages, durable)
            return
        self._scheduled = True
        try:
            append(messages, durable)
        finally:
            if self._dirty or self._few:
                self.flush()
            else:
                self._scheduled = False

    def restore(self, messages: list[Message], newest: int) -> None:
        """Take up the last values of an earlier run, before there are clients; the log goes on after `newest`."""
        self.values.restore(messages)
        self._newest = self.settled = newest

    def flush(self) -> None:
        """One slice of handing out; goes on in the next turn where time ran out."""
        self._scheduled = False
        clock = self._clock
        now = clock()
        deadline = now + SLICE
        self.turns += 1
        dirty, few = self._dirty, self._few
        while few and not dirty:
            message, routes = few.popleft()
            self._serve(message, routes, clock, now, deadline)
            if few and clock() > deadline:
                break
        if dirty and few:
            # Some wait for the one before, and would have these first.
            self._spread()
        flushed = 0
        while dirty:
            audience = dirty[0]
            done = audience.flush(clock, now, deadline)
            if audience.full:
                self._note_full(audience)
            if not done:
                break
            audience.dirty = False
            dirty.popleft()
            flushed += 1
            if not flushed % FEW and dirty and clock() > deadline:
                break
        self._behind = bool(dirty or few)
        if self._behind:
            self._scheduled = True
            self._schedule(self.flush)
        else:
            now = clock()
            if self._full:
                self._breath.judge(self._fresh, self._full, now - self._ended_at)
            self._full, self._fresh = 0, 0
            self._ended_at = now
            self.settled = self._newest
            if self._taken_at:
                self._quiet = min(QUIET, now - self._taken_at)
                if self.latency is not None:
                    self.latency(now - self._taken_at)
                self._taken_at = 0.0

    def adopt(self, *, last_values: int, last_values_memory: int, period: float) -> None:
        """Go by these bounds and this period from now on; whose messages are `kept` is asked anew."""
        self.values.most = last_values
        self.values.bound(last_values_memory)
        self._period = period
        self._spread()
        for audience in self._audiences.values():
            if audience.pacer is not None:
                audience.pacer.period = period
        self.values.unroute()
        self.values.keep_bounds()

    def join(self, viewer: Viewer, key: AudienceKey) -> Audience:
        """Let `viewer` have every message that `key` wants, from the next one on."""
        self._spread()
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(
                key,
                self._kept,
                wheel=self.wheel,
                period=self._period,
                touch=self._touch,
                room=self.values.paces,
                turnover=self._turnover,
                volley=self._volley,
            )
            self._router.add(audience)
        audience.join(viewer, self._newest)
        return audience

    def leave(self, viewer: Viewer, audience: Audience, *, gone: bool = False) -> None:
        """Take `viewer` out of its audience; an audience without members ends."""
        self._spread()
        audience.leave(viewer, gone=gone)
        if len(audience) == 0 and self._audiences.get(audience.key) is audience:
            self.settle()
            del self._audiences[audience.key]
            self._gone_delivered += audience.delivered
            audience.delivered = 0
            if audience.pacer is not None:
                audience.pacer.end()
            self._router.remove(audience)

    def keeps(self, topic: str) -> bool:
        """Whether every message of `topic` counts: presses and alarms are never merged."""
        return self._kept is not None and self._kept(topic)

    def followers(self, topic: str) -> list[Viewer]:
        """Whoever gets the messages of `topic`."""
        return self._router.followers(topic)

    def settle(self) -> None:
        """Book with every audience what its only member was given: `delivered` and `sent_at` are right behind it."""
        self._lones.settle()

    def _touch(self, audience: Audience) -> None:
        """`audience` has something to hand out."""
        self._spread()
        if not audience.dirty:
            audience.dirty = True
            self._dirty.append(audience)
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)

    def _note_full(self, audience: Audience) -> None:
        self._full = max(self._full, audience.full)
        audience.full = 0

    def _are_few(self, message: Message, routes: list[Way]) -> bool:
        """Whether hardly anybody gets two messages of the open turn: then they need not be left with the audiences.

        Takes `message` to them. Where there is a crowd, the quick way for those who are alone would be one more for the
        others.
        """
        reach = sum([len(way.audiences) for way in routes])
        if self._few:
            reach += self._reach
        if reach > len(self._audiences) or routes[0].audiences[0].lone is None:
            self._spread()
            return False
        self._reach = reach
        self._few.append((message, routes))
        return True

    def _spread(self) -> None:
        """Let the audiences have the few messages of the open turn before they change, or too many come to them."""
        few = self._few
        while few:
            message, routes = few.popleft()
            for way in routes:
                frame = way.encode(message)
                for audience in way.audiences:
                    self._give(audience, frame, message)

    def _give(self, audience: Audience, frame: bytes, message: Message) -> None:
        audience.frames.append(frame)
        audience.messages.append(message)
        if not audience.dirty:
            audience.dirty = True
            self._dirty.append(audience)
