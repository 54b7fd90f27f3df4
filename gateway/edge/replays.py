"""Replays on their way to one client: page by page, as fast as its socket takes them. Pure.

A replay answers a subscribe: first what the client asked for (last values, or a range of the log), then whatever came
in meanwhile, until nothing is missing; in that same moment the client joins its live audience. So nothing is lost and
nothing told twice, however long it takes. A log may answer a read within the call or later.
"""

from collections.abc import Callable
from typing import Protocol

from gateway.edge import events
from gateway.edge.beginnings import Beginning
from gateway.edge.breaks import UPSTREAM, Breaks
from gateway.edge.commands import Id
from gateway.edge.commands import Replay as Wish
from gateway.edge.frames import Desk
from gateway.edge.replay import Replay
from gateway.edge.snapshot import Snapshot
from gateway.edge.thinning import Thinner
from gateway.edge.wire import Wire
from gateway.hub.audience import Audience
from gateway.hub.batch import Batch
from gateway.hub.hub import Hub
from gateway.hub.log import BLOCK, RESTART, Log, Page, Selection
from gateway.hub.subscription import AudienceKey, Subscription, Variant, filter_of

TOGETHER = BLOCK // 2  # last values sent at once: every topic is a new one, which makes their frames dear


class Client(Protocol):
    """What a client's replays need of its session."""

    @property
    def wire(self) -> Wire:
        """Where its frames go."""

    @property
    def audience(self) -> Audience | None:
        """Where its live messages come from; None where no subscription is live yet."""

    def tell(self, event: events.Event) -> None:
        """Send an event in its place behind what already waits."""

    def variant(self, subscriptions: tuple[Subscription, ...]) -> Variant:
        """The encoding of messages for a table of subscriptions."""

    def rejoin(self) -> None:
        """A replay has ended: move to the audience that its subscriptions now belong to."""


class Replays:
    """All replays of one client: one at a time, in the order of their subscribes.

    Its steps are taken in turns of the `desk`, which all clients share, so that no replay starves live clients.
    `wall` is Unix seconds. `copies`: each subscription has its own copy of a message, also of what another has had.
    """

    __slots__ = ("_breaks", "_client", "_copies", "_desk", "_hub", "_log", "_pending", "_wall")

    def __init__(
        self,
        client: Client,
        *,
        hub: Hub,
        log: Log,
        desk: Desk,
        wall: Callable[[], float],
        breaks: Breaks,
        copies: bool = False,
    ) -> None:
        self._breaks = breaks
        self._client = client
        self._copies = copies
        self._hub = hub
        self._log = log
        self._desk = desk
        self._wall = wall
        self._pending: list[Replay] = []

    def __bool__(self) -> bool:
        return bool(self._pending)

    @property
    def held(self) -> set[str]:
        """The keys of subscriptions whose messages come by a replay still."""
        return {s.key for replay in self._pending for s in replay.subscriptions}

    def mark(self, mark: int) -> int:
        """The resume mark, `mark` without replays: they hold it back to where the first of them is."""
        return min([mark, *(replay.mark for replay in self._pending)])

    def begin(
        self,
        id: Id,
        wish: Wish,
        subscriptions: list[Subscription],
        *,
        denies: tuple[str, ...],
        live: AudienceKey | None,
    ) -> Replay:
        """The replay that `wish` asks for; `live` is what the client already gets. `add` sets it going."""
        replay = Replay(id, subscriptions, denies=denies, newest=self._log.newest, live=live)
        beginning = Beginning(
            replay,
            log=self._log,
            hub=self._hub,
            wall=self._wall,
            breaks=self._breaks,
            found=lambda: self._found(replay),
        )
        beginning.by(wish)
        return replay

    def add(self, replay: Replay) -> None:
        """Let `replay` go its way behind those before it."""
        self._pending.append(replay)
        self._found(replay)

    def drop(self, keys: list[str]) -> None:
        """The client ended the subscriptions of these keys."""
        for key in keys:
            for number, replay in enumerate(self._pending):
                if number == 0 and any(s.key == key for s in replay.subscriptions):
                    self._tell_others(replay, Selection((filter_of(key),), replay.selection.denies))
                replay.drop(key)
        ended = [replay for replay in self._pending if not replay.subscriptions]
        self._pending = [replay for replay in self._pending if replay.subscriptions]
        for replay in ended:
            # Whoever waits for its end shall not wait for ever.
            if not replay.over or replay.beside:
                replay.complete = False
                self._ended(replay)
        self.wake()

    def forbid(self, denies: tuple[str, ...]) -> None:
        """The client's role has changed: from now on these filters are left out."""
        for replay in self._pending:
            replay.forbid(denies)

    def moved(self, live: AudienceKey | None) -> None:
        """The client moves to another audience, with the next message that is handed on."""
        for replay in self._pending:
            replay.moved(self._log.newest, live)

    def end(self) -> None:
        """The client is gone."""
        self._pending.clear()

    def wake(self) -> None:
        """Something has changed: take a step if one can be taken."""
        if self._ready():
            self._desk.add(self)

    def step(self) -> bool:
        """Send or read one page; whether another step can be taken at once."""
        if not self._ready():
            return False
        replay = self._pending[0]
        if replay.outgoing:
            self._send(replay)
        elif replay.snapshot is not None:
            self._look(replay, replay.snapshot)
        elif replay.fetched < replay.target:
            self._read(replay)
        elif replay.thinner is not None:
            self._thinned(replay, replay.thinner)
        elif replay.over or not replay.chase(self._log.newest):
            self._hand_over(replay)
        return self._ready()

    def _ready(self) -> bool:
        if not self._pending or self._pending[0].waiting:
            return False
        return not self._client.wire.queued or not self._pending[0].needs_socket

    def _found(self, replay: Replay) -> None:
        if replay.foreign:
            newest = self._log.newest
            self._client.tell(events.Gap(from_=min(1, newest), to=newest, count=None, topics={}, reason=RESTART))
        if replay.broken is not None:
            first, last = replay.broken
            self._client.tell(events.Gap(from_=first + 1, to=last, count=None, topics={}, reason=UPSTREAM))
        self.wake()

    def _look(self, replay: Replay, snapshot: Snapshot) -> None:
        """Find more of the last values, or send more of those found."""
        if snapshot.looking:
            snapshot.look()
            return
        replay.outgoing = snapshot.take(TOGETHER)
        if replay.outgoing:
            self._send(replay)
        else:
            replay.snapshot = None
            replay.outgoing, replay.behind = replay.behind, []

    def _read(self, replay: Replay) -> None:
        replay.waiting = True
        self._log.read(replay.fetched, replay.target, replay.selection, lambda page: self._paged(replay, page))

    def _paged(self, replay: Replay, page: Page) -> None:
        replay.waiting = False
        if replay not in self._pending:
            return
        if page.gone is not None:
            replay.complete = replay.complete and page.empty
            first, last = page.gone
            count = 0 if page.empty else None
            self._client.tell(events.Gap(from_=first, to=last, count=count, topics={}, reason=page.reason))
        replay.fetched = page.reached
        if replay.thinner is not None:
            for message in page.messages:
                if replay.view(message.topic) is not None:
                    replay.thinner.add(message)
        else:
            replay.outgoing = page.messages
            if not page.messages:
                replay.cursor = page.reached
            if page.gone is not None and not page.empty and not replay.over:
                # What is lost was the newest of some topics: that much of it is there still.
                first, last = page.gone
                replay.look(self._hub.values, after=first - 1, until=last)
                replay.outgoing, replay.behind = [], page.messages
        self.wake()

    def _thinned(self, replay: Replay, thinner: Thinner) -> None:
        replay.thinner = None
        replay.outgoing = thinner.result()
        replay.cursor = replay.fetched
        if thinner.ledger.count:
            self._client.tell(events.gap_of(thinner.ledger))

    def _send(self, replay: Replay) -> None:
        """Send what comes next of `outgoing`: as replayed, or as live once the replay itself is over."""
        portion = [(m, view) for m in replay.portion() if (view := replay.wants(m)) is not None]
        if not portion:
            return
        variant = self._client.variant(tuple(replay.subscriptions))
        if not replay.over:
            replay.count += len(portion)
            self._client.wire.push(Batch(self._desk.frames.encode(variant, portion), None))
            return
        if replay.beside:
            replay.count += len(portion)
        live = [(m, view._replace(replay=replay.beside)) for m, view in portion]
        latest = any(s.latest for s in replay.subscriptions)
        self._client.wire.push(
            Batch(
                self._desk.frames.encode(variant, live),
                [m for m, _ in live],
                mergeable=replay.mergeable if latest else None,
            )
        )

    def _hand_over(self, replay: Replay) -> None:
        """End the replay: what came in since goes out as live, and the client joins its audience in the same turn."""
        log = self._log
        if not replay.over:
            replay.over = True
            # Where other subscriptions of this client are live, or were, they have told newer messages: what came in
            # meanwhile then belongs to the replay still, or live messages would go back.
            beside = self._client.audience is not None or replay.accompanied(log.newest)
            replay.beside = beside and not self._copies
            if not replay.beside:
                self._ended(replay)
        while replay in self._pending and replay.fetched < log.newest:
            replay.target = log.newest
            self._read(replay)
            if replay.waiting:
                return  # not at hand: it goes on with the answer
            while replay.outgoing:
                self._send(replay)
        if replay not in self._pending:
            return  # a push has ended the client
        del self._pending[0]
        if replay.beside:
            self._ended(replay)
        self._tell_others(replay, replay.selection)
        self._client.rejoin()

    def _ended(self, replay: Replay) -> None:
        self._client.tell(
            events.Replayed(id=replay.id, count=replay.count, complete=replay.complete, offset=replay.cursor)
        )

    def _tell_others(self, replay: Replay, selection: Selection) -> None:
        if self._copies:
            return
        for other in self._pending:
            if other is not replay:
                other.told(replay.start, replay.cursor, selection)
