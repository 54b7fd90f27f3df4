"""One client's subscriptions: what it asked for, what its role grants, and the audience that it is in for it. Pure.

New ones come live once their replay is through; until then the client stays in the audience of the others.
"""

from typing import Protocol

import msgspec

from gateway.edge import events
from gateway.edge.alone import Alone
from gateway.edge.commands import Subscribe, Unsubscribe
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.granting import Request, request_of
from gateway.edge.news import News
from gateway.edge.replays import Replays
from gateway.edge.roles import Role, grant, may_see
from gateway.edge.room import Room
from gateway.edge.wire import Line, Wire
from gateway.errors import CommandError
from gateway.hub.audience import Audience
from gateway.hub.rate import Rate
from gateway.hub.subscription import AudienceKey, Subscription, Variant, filter_of, key_of
from gateway.topics import matches


class Client(Protocol):
    """Whose subscriptions they are."""

    role: Role | None

    def tell(self, event: events.Event) -> None:
        """Tell the client."""


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
        self._replays = Replays(
            self,
            hub=room.hub,
            log=room.log,
            desk=room.desk,
            wall=room.wall,
            breaks=room.breaks,
            copies=dialect.copies,
        )
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
        if self.audience is None or self.audience.pacer is not None:
            return 0.0
        self._room.hub.settle()
        return self.audience.sent_at

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
        most = self._room.limits.subscriptions
        if len(self._table.keys() | {key_of(filter, command.copy) for filter in command.topics}) > most:
            text = f"at most {most} subscriptions a client: end some, or say the same with wildcards"
            raise CommandError("too-many-subscriptions", text, command.id)
        return request_of(command, role)

    def add(self, command: Subscribe, request: Request, role: Role, *, answer: bool) -> None:
        """Carry out what was granted; with `answer` the client is told so before anything of it comes."""
        self._mind_window()
        replay = None
        if command.replay != "none":
            # Where each subscription has its own copy of a message, nothing comes by another.
            live = self.audience.key if self.audience is not None and not self._dialect.copies else None
            replay = self._replays.begin(command.id, command.replay, request.granted, denies=role.deny, live=live)
        for subscription in request.granted:
            key = subscription.key
            self._table[key] = subscription
            if self._news is not None:
                self._news.owe(key)
        if answer:
            self._client.tell(events.Ok(id=command.id, subscribed=request.results))
        if self._ended:
            return  # its socket has failed at a word before
        if replay is None:
            self.rejoin()
            return
        self._replays.add(replay)
        if self._dialect.copies or self._looks_otherwise():
            # What the replay carries must not come live as well; or messages look otherwise while there is one.
            self.rejoin()

    def _looks_otherwise(self) -> bool:
        live = self.audience
        return live is not None and self._dialect.variant(live.key.table) != live.key.variant

    def remove(self, command: Unsubscribe) -> None:
        """End those of the filters that there are, and say so."""
        self._forget([key_of(filter, command.copy) for filter in command.topics])
        self.rejoin()
        self._client.tell(events.Ok(id=command.id, unsubscribed=command.topics))

    def restrict(self, role: Role) -> list[str]:
        """End what `role` does not grant; the filters of that."""
        ended = [key for key, subscription in self._table.items() if not grant(role, subscription.filter).granted]
        self._forget(ended)
        self._replays.forbid(role.deny)
        self.rejoin()
        return [filter_of(key) for key in ended]

    def _forget(self, keys: list[str]) -> None:
        for key in keys:
            self._table.pop(key, None)
        self._replays.drop(keys)

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
        table = tuple(sorted(self._paced(s) for key, s in self._table.items() if key not in held))
        key = AudienceKey(self._dialect.variant(table), table, role.deny)
        if self._news is not None:
            # What stands now comes behind the snapshot.
            self._news.tell(self._table.keys(), held)
        if self.audience is not None:
            if self.audience.key == key:
                return
            self._leave()
        if self._ended:
            return  # its socket has failed at the end of a replay, or at this: nobody is left to join
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

    @property
    def restless(self) -> bool:
        """Whether `beat` and `tune` have something to do every second."""
        return self._latest or self._alone is not None

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
