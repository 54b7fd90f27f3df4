"""One client's subscriptions: what it asked for, what its role grants, and the audience that it is in for it. Pure.

New ones come live once their replay is through; until then the client stays in the audience of the others.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from gateway.edge import events
from gateway.edge.alone import Alone
from gateway.edge.commands import Id, Subscribe
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.news import News
from gateway.edge.replays import Replays
from gateway.edge.roles import Grant, Role, grant, may_see
from gateway.edge.room import Room
from gateway.edge.wire import Line, Wire
from gateway.errors import CommandError
from gateway.hub.audience import Audience
from gateway.hub.rate import Rate
from gateway.hub.subscription import AudienceKey, Subscription, Variant, shared
from gateway.topics import matches, shorten


class Client(Protocol):
    """Whose subscriptions they are."""

    role: Role | None

    def tell(self, event: events.Event) -> None:
        """Tell the client."""


class Request(NamedTuple):
    """A subscribe as the role sees it: `results` filter by filter, what is `granted`, and the last refusal."""

    results: list[dict[str, object]]
    granted: list[Subscription]
    refused: Grant | None

    @property
    def refused_filters(self) -> list[str]:
        """The filters that are not granted."""
        return [str(result["filter"]) for result in self.results if not result["granted"]]


class Subscriptions:
    """`wire` is where the client's frames go, `audience` where its live messages come from, None without any.

    `bare` clients hear of nothing beside messages.
    """

    __slots__ = (
        "_alone",
        "_client",
        "_dialect",
        "_ended",
        "_latest",
        "_line",
        "_news",
        "_rate",
        "_replays",
        "_room",
        "_table",
        "audience",
        "wire",
    )

    def __init__(self, client: Client, *, line: Line, dialect: Dialect, room: Room, bare: bool) -> None:
        self.audience: Audience | None = None
        self.wire: Wire = line
        self._line = line
        self._client = client
        self._dialect = dialect
        self._room = room
        self._table: dict[str, Subscription] = {}
        self._replays = Replays(self, hub=room.hub, log=room.log, desk=room.desk, wall=room.wall, copies=dialect.copies)
        self._news = None if bare else News(self, room.standing, room.desk)
        self._alone: Alone | None = None
        self._rate: Rate | None = None
        self._latest = False
        self._ended = False

    @property
    def all(self) -> tuple[Subscription, ...]:
        """The live ones and those whose replay is under way."""
        return tuple(self._table.values())

    @property
    def mark(self) -> int:
        """The resume mark: every matching message up to this offset was sent or named in a gap."""
        mark = self._room.hub.settled if self.audience is not None else self._room.log.newest
        floor = self.audience.floor(self.wire) if self.audience is not None else None
        if floor is not None:
            mark = min(mark, floor - 1)
        return self._replays.mark(mark)

    @property
    def sent_at(self) -> float:
        """When the client last got a message from whose offset it could resume, 0.0 where there is none such."""
        # Who has intervals can resume from the mark alone: the newest offset it saw is not enough then.
        return self.audience.sent_at if self.audience is not None and self.audience.pacer is None else 0.0

    @property
    def imposed(self) -> float:
        """Seconds between two values of a topic that the client has to put up with, since it does not keep up."""
        return self._rate.interval if self._rate is not None else 0.0

    def follow(self, topic: str) -> bool:
        """Whether a filter of the client matches `topic`."""
        return any(matches(s.filter, topic) for s in self._table.values())

    # What replays and news need to know.

    @property
    def role(self) -> Role | None:
        """What the client may see."""
        return self._client.role

    @property
    def ready(self) -> bool:
        """Whether the client's socket takes more."""
        return not self.wire.queued

    def tell(self, event: events.Event) -> None:
        """Send an event in its place behind what already waits."""
        self._client.tell(event)

    def variant(self, subscriptions: tuple[Subscription, ...]) -> Variant:
        """The encoding of messages for a table of subscriptions."""
        return self._dialect.variant(subscriptions)

    # What the client asks for.

    def judge(self, command: Subscribe, role: Role) -> Request:
        """What `role` grants of `command`. Raises CommandError where it is more than one client may have."""
        wanted, most = list(dict.fromkeys(command.topics)), self._room.limits.subscriptions
        if len(self._table.keys() | set(wanted)) > most:
            raise CommandError("too-many-subscriptions", f"at most {most} a client", command.id)
        results: list[dict[str, object]] = []
        granted: list[Subscription] = []
        refused, latest = None, command.mode == "latest"
        for filter in wanted:
            verdict = grant(role, filter)
            results.append({"filter": shorten(filter, 300), "granted": verdict.granted, "reason": verdict.reason})
            if verdict.granted:
                granted.append(shared(filter, latest, command.interval, command.readings, command.data))
            else:
                refused = verdict
        return Request(results, granted, refused)

    def add(self, command: Subscribe, request: Request, role: Role, *, answer: bool) -> None:
        """Carry out what was granted; with `answer` the client is told so before anything of it comes."""
        self._mind_window()
        replay = None
        if command.replay != "none":
            # Where each subscription has its own copy of a message, nothing comes by another.
            live = self.audience.key if self.audience is not None and not self._dialect.copies else None
            replay = self._replays.begin(command.id, command.replay, request.granted, denies=role.deny, live=live)
        for subscription in request.granted:
            self._table[subscription.filter] = subscription
            if self._news is not None:
                self._news.owe(subscription.filter)
        if answer:
            self._client.tell(events.Ok(id=command.id, subscribed=request.results))
        if replay is None:
            self.rejoin()
            return
        self._replays.add(replay)

    def remove(self, filters: list[str], id: Id) -> None:
        """End those of `filters` that there are, and say so."""
        self._forget(filters)
        self.rejoin()
        self._client.tell(events.Ok(id=id, unsubscribed=filters))

    def restrict(self, role: Role) -> list[str]:
        """End what `role` does not grant; the filters of that."""
        ended = [filter for filter in self._table if not grant(role, filter).granted]
        self._forget(ended)
        self._replays.forbid(role.deny)
        self.rejoin()
        return ended

    def _forget(self, filters: Iterable[str]) -> None:
        gone = list(filters)
        for filter in gone:
            self._table.pop(filter, None)
        self._replays.drop(gone)

    def _mind_window(self) -> None:
        """From the first subscription whose messages it acknowledges, this client is served alone."""
        window = self._dialect.window
        if window is None or self._alone is not None:
            return
        alone = Alone(self._line, window, self._room.clock)
        self._leave()
        self._alone = self.wire = alone
        self.rejoin()

    # Where its messages come from.

    def rejoin(self) -> None:
        """Move to the audience of the table as it is now (without what is still being replayed)."""
        role = self._client.role
        assert role is not None
        held = self._replays.held
        self._latest = any(subscription.latest for subscription in self._table.values())
        table = tuple(sorted(self._paced(s) for s in self._table.values() if s.filter not in held))
        key = AudienceKey(self._dialect.variant(table), table, role.deny)
        if self._news is not None:
            # What stands now comes behind the snapshot.
            self._news.tell(self._table.keys(), held)
        if self.audience is not None:
            if self.audience.key == key:
                return
            self._leave()
            if self._ended:
                return  # what was under way for it was more than it may have: nobody is left to join
        self._replays.moved(key if table and not self._dialect.copies else None)
        if table:
            self.audience = self._room.hub.join(self.wire, key)

    def _leave(self, *, gone: bool = False) -> None:
        audience = self.audience
        if audience is not None:
            self._room.hub.leave(self.wire, audience, gone=gone)
            self.audience = None

    def _paced(self, subscription: Subscription) -> Subscription:
        """A subscription with the interval that is in force now."""
        if self._rate is None or not subscription.latest or self._rate.interval <= subscription.interval:
            return subscription
        return msgspec.structs.replace(subscription, interval=self._rate.interval)

    # As time goes by.

    def tune(self, now: float) -> events.Rate | None:
        """Where the client wants only the newest values, and not even those get through, send fewer."""
        if not self._latest:
            return None
        rate = self._rate
        if rate is None:
            rate = self._rate = Rate(now)
        if not rate.look(self.wire.pressure(), now):
            return None
        self.rejoin()
        return events.Rate(interval=rate.interval, reason=rate.reason)

    def beat(self, now: float) -> None:
        """Called about once a second: patience with what is not acknowledged."""
        if self._alone is not None:
            self._alone.beat(now)

    def acknowledged(self) -> None:
        """The client has said something: what it acknowledges makes room for more."""
        if self._alone is not None:
            self.drained()

    def drained(self) -> None:
        """The outbox is empty: what waits for it may go on."""
        if self._alone is not None:
            self._alone.release()
        self._replays.wake()
        if self._news is not None:
            self._news.wake()

    def end(self) -> None:
        """The client is gone."""
        self._ended = True
        self._replays.end()
        self._leave(gone=True)
        if self._alone is not None:
            self._alone.end()
        if self._news is not None:
            self._news.end()

    def sees(self, topic: str) -> bool:
        """Whether the client hears of what happens to `topic` beside its messages."""
        role = self._client.role
        return self._news is not None and role is not None and self.follow(topic) and may_see(role, topic)
