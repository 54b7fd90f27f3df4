"""One subscribe's replay: how far it has come, and which messages are its own. Pure."""

from collections.abc import Callable

from gateway.edge.commands import Id
from gateway.edge.snapshot import Snapshot
from gateway.edge.thinning import Thinner
from gateway.hub.lastvalues import LastValues
from gateway.hub.log import BLOCK, Selection
from gateway.hub.message import Message
from gateway.hub.subscription import AudienceKey, Subscription, View
from gateway.topics import any_of, matches

ROUNDS = 8
PORTION = 128 * 1024  # payload bytes sent at once: what waits in an outbox is in no policy's reach


class Replay:
    """One subscribe's replay.

    Up to `cursor` the client has what it asked for, up to `fetched` the log has been read, `target` is the offset to
    reach. Messages above the newest one at the start that come to the client live, by its older subscriptions, are
    left out; where it resumes (`resumes`) also those from before that an earlier replay of this client still has to
    carry. `outgoing` are messages read and not sent yet; once all are, `cursor` is at `fetched`. Those `behind` come
    after what a snapshot finds. All of the log after `start` is carried. `foreign`: it was to go on after an offset
    that this run never gave. `broken` are the first and the last offset behind which messages passed by upstream while
    the client was away.
    """

    def __init__(
        self,
        id: Id,
        subscriptions: list[Subscription],
        *,
        denies: tuple[str, ...],
        newest: int,
        live: AudienceKey | None,
    ) -> None:
        self.id = id
        self.subscriptions = subscriptions
        self.cursor = newest
        self.fetched = newest
        self.target = newest
        self.outgoing: list[Message] = []
        self.behind: list[Message] = []
        self.snapshot: Snapshot | None = None
        self.thinner: Thinner | None = None
        self.count = 0
        self.complete = True
        self.waiting = False
        self.over = False
        self.beside = False
        self.resumes = False
        self.foreign = False
        self.broken: tuple[int, int] | None = None
        self.start = newest
        self._sent = 0
        self._denies = denies
        self._wanted = any_of(tuple(s.filter for s in subscriptions))
        self._since = newest
        self._live: list[tuple[int, AudienceKey | None]] = [(newest, live)]
        self._told: list[tuple[int, int, Selection]] = []
        self._rounds = 0
        self._views: dict[str, View | None] = {}

    @property
    def mark(self) -> int:
        """The offset after which the client would have to resume."""
        mark = self.cursor if self.snapshot is None else min(self.cursor, self.snapshot.floor)
        return min(mark, self.outgoing[self._sent].offset - 1) if self.outgoing else mark

    @property
    def needs_socket(self) -> bool:
        """Whether its next step sends something that should wait until the socket takes it."""
        if self.outgoing:
            return not self.over
        if self.snapshot is not None:
            return not self.snapshot.looking
        return not self.over and self.thinner is None

    @property
    def selection(self) -> Selection:
        """The topics of this replay."""
        return Selection(tuple(s.filter for s in self.subscriptions), self._denies)

    def look(
        self, values: LastValues, *, after: int, until: int, wanted: Callable[[Message], bool] | None = None
    ) -> None:
        """Find first those last values of its topics that have offsets in (after, until], of them the `wanted` ones."""
        holders = values.holders([s.filter for s in self.subscriptions])
        wanted = wanted or (lambda message: self.covers(message.topic))
        self.snapshot = Snapshot(holders, after=after, until=until, wanted=wanted)

    def view(self, topic: str) -> View | None:
        """What a replayed message of `topic` shows; None where it is not part of this replay."""
        try:
            return self._views[topic]
        except KeyError:
            pass
        view = None
        if self.covers(topic):
            mine = [s for s in self.subscriptions if matches(s.filter, topic)]
            view = View(any(s.readings for s in mine), any(s.data for s in mine), replay=True)
        if len(self._views) > 4096:
            self._views.clear()
        self._views[topic] = view
        return view

    def covers(self, topic: str) -> bool:
        """Whether messages of `topic` are part of this replay."""
        return self._wanted(topic) and not any(matches(deny, topic) for deny in self._denies)

    def wants(self, message: Message) -> View | None:
        """The view under which `message` belongs to this replay, None where it does not."""
        view = self.view(message.topic)
        if view is not None and self._came_otherwise(message):
            return None
        return view

    def mergeable(self, topic: str) -> bool:
        """Whether the client asked for the newest value of `topic` only."""
        mine = [s for s in self.subscriptions if matches(s.filter, topic)]
        return bool(mine) and all(s.latest for s in mine)

    def moved(self, newest: int, live: AudienceKey | None) -> None:
        """From the message after `newest` on, the client gets live what `live` wants."""
        self._live.append((newest, live))

    def accompanied(self, newest: int) -> bool:
        """Whether any message up to `newest` came in while the client had something live, since this replay began."""
        ends = [*(since for since, _ in self._live[1:]), newest]
        return any(live is not None and end > since for (since, live), end in zip(self._live, ends, strict=True))

    def told(self, after: int, until: int, selection: Selection) -> None:
        """An earlier replay of this client has carried the messages of `selection` with offsets in (after, until]."""
        self._told.append((after, until, selection))

    def drop(self, key: str) -> None:
        """The client ended a subscription before its replay did."""
        self.subscriptions = [s for s in self.subscriptions if s.key != key]
        self._wanted = any_of(tuple(s.filter for s in self.subscriptions))
        self._views.clear()

    def forbid(self, denies: tuple[str, ...]) -> None:
        """The client's role has changed: from now on these filters are left out."""
        self._denies = denies
        self._views.clear()

    def portion(self) -> list[Message]:
        """The next messages to send."""
        outgoing, start, size = self.outgoing, self._sent, 0
        stop = min(len(outgoing), start + BLOCK)
        for number in range(start, stop):
            size += len(outgoing[number].payload)
            if size >= PORTION:
                stop = number + 1
                break
        if stop < len(outgoing):
            self._sent = stop
            reached = outgoing[stop - 1].offset
        else:
            self.outgoing, self._sent = [], 0
            reached = self.cursor if self.snapshot is not None else self.fetched
        if self.thinner is None:
            self.cursor = max(self.cursor, reached)
        return outgoing[start:stop]

    def chase(self, newest: int) -> bool:
        """At the target: whether to go on after what came in meanwhile, rather than to hand over now.

        A client that is slower than the stream would chase it for ever: after a few rounds the rest goes into its
        outbox at once, where the policy for slow consumers rules.
        """
        if newest - self.target <= BLOCK or self._rounds >= ROUNDS:
            return False
        self._rounds += 1
        self.target = newest
        return True

    def _came_otherwise(self, message: Message) -> bool:
        offset, topic = message.offset, message.topic
        if offset <= self._since and not self.resumes:
            return False  # a snapshot, or so many of the past: asked for whatever else there is
        for since, live in reversed(self._live):
            if since < offset:
                if live is not None and live.wants(topic):
                    return True
                break
        return any(after < offset <= until and selection.wants(topic) for after, until, selection in self._told)
