"""One client's conversation, sans I/O: commands in, events and subscriptions out.

The session knows no socket: it speaks through a Wire, which puts every byte through the client's outbox.
"""

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from gateway.edge import commands, events
from gateway.edge.alone import Alone
from gateway.edge.audit import audit
from gateway.edge.commands import Command, Id
from gateway.edge.credentials import Identity, Refusal
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.frames import Desk
from gateway.edge.history import Archive, Questions
from gateway.edge.replay import Replay, Replays
from gateway.edge.roles import Role, grant, may_publish, may_see
from gateway.edge.standing import Standing, Telling
from gateway.edge.wire import Line, Wire
from gateway.errors import FORBIDDEN, NOT_AUTHENTICATED, TOO_FAST, CloseConnection, CommandError
from gateway.hub.audience import Audience, AudienceKey, Subscription, Variant
from gateway.hub.hub import Hub
from gateway.hub.log import Log
from gateway.hub.ports import UpstreamSender, UpstreamState, UpstreamStatus
from gateway.hub.rate import Rate
from gateway.topics import matches, shorten, validate_topic

TOPICS_A_COMMAND = 10_000  # topics that a subscribe may look through at the price of one more command
BURST_SECONDS = 5  # a client may save up its commands for so long


class SessionLimits(msgspec.Struct, frozen=True):
    """What one client may ask for."""

    subscriptions: int = 100
    commands_per_second: float = 20.0
    message_size: int = 64 * 1024


class Room(msgspec.Struct):
    """What all sessions share; the daemon fills it. `clock` is monotonic seconds, `wall` Unix seconds.

    `desk` is where replays take their turns. `authenticate` judges a token: the role, or the sentence that refuses it.
    `clock_state` is "ok" or "suspect". `archive` is where numbers of the past are asked for.
    """

    hub: Hub
    log: Log
    name: str
    build: str
    heartbeat: float
    limits: SessionLimits
    clock: Callable[[], float]
    wall: Callable[[], float]
    desk: Desk
    upstreams: UpstreamStatus
    sender: UpstreamSender | None = None
    authenticate: Callable[["Session", str], Identity | Refusal] | None = None
    auth_methods: tuple[str, ...] = ()
    auth_deadline: float = 10.0
    clock_state: str = "ok"
    standing: Standing = msgspec.field(default_factory=Standing)
    archive: Archive | None = None


class Session:
    """A client from its first word to its last.

    `bare` clients came with `?topic=` and know no protocol: they get messages, replayed, gap and heartbeat, and with
    `status` also device, stale and rate objects. `role` is that of `identity`; None until somebody has signed in.
    """

    def __init__(
        self,
        *,
        id: str,
        wire: Line,
        dialect: Dialect,
        room: Room,
        role: Role | None,
        identity: Identity | None = None,
        address: str = "",
        bare: bool = False,
    ) -> None:
        self.id = id
        self.role = role
        self.identity = identity
        self.address = address
        self.dialect = dialect
        self.audience: Audience | None = None
        self.commands = 0
        self._line = wire
        self._wire: Wire = wire
        self._alone: Alone | None = None
        self._room = room
        self._bare = bare
        self._table: dict[str, Subscription] = {}
        self._replays = Replays(self, hub=room.hub, log=room.log, desk=room.desk, wall=room.wall, copies=dialect.copies)
        self._waiting_for_auth: list[commands.Subscribe] = []
        self._tokens = room.limits.commands_per_second * BURST_SECONDS
        self._tokens_at = room.clock()
        self._refused = 0
        self._questions = Questions()
        self._told_at = self._began_at = room.clock()
        self._closed = False
        self._rate: Rate | None = None
        self._latest = False
        self._news: set[str] = set()
        self._telling: list[Telling] = []

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The live subscriptions and those whose replay is under way."""
        return tuple(self._table.values())

    def start(self, subscribe: commands.Subscribe | None = None) -> None:
        """Say the first word, and carry out what the address already asked for, where the dialect has it so."""
        if not self.dialect.queries:
            subscribe = None
        if self.role is None:
            if subscribe is not None:
                self._waiting_for_auth.append(subscribe)
            room = self._room
            self._say(events.AuthRequired(methods=list(room.auth_methods), deadline=room.auth_deadline))
            return
        self._say(self._welcome(self.role))
        if subscribe is not None:
            self._subscribe(subscribe, answer=False)

    def receive(self, data: bytes, *, text: bool) -> None:
        """Take one WebSocket message. Raises CloseConnection where the conversation has to end."""
        for command in self.dialect.commands(data, text=text):
            if self._closed:
                return
            self.commands += 1
            if isinstance(command, CloseConnection):
                raise command
            try:
                self._pay(None if isinstance(command, bytes) else command.id)
                if isinstance(command, bytes):
                    self._wire.deliver(command)
                elif isinstance(command, CommandError):
                    self._error(command)
                else:
                    self._obey(command)
            except CommandError as error:
                self._error(error)
        if self._alone is not None:
            # What the client has just acknowledged makes room for more.
            self.drained()

    def end(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._replays.end()
        if self.audience is not None:
            self._room.hub.leave(self._wire, self.audience, gone=True)
            self.audience = None
        if self._alone is not None:
            self._alone.end()

    def drained(self) -> None:
        """The outbox is empty: a replay may go on."""
        if self._alone is not None:
            self._alone.release()
        self._replays.wake()
        if self._telling:
            self._tell_news()

    def beat(self, now: float) -> None:
        """About once a second: after a heartbeat interval without a word, tell the client that the gateway is here.

        Raises CloseConnection where the client has been silent for too long, or its credential ends here.
        """
        if self._closed:
            return
        self._mind_credential(now)
        if sign := self.dialect.beat(now):
            self._wire.deliver(sign)
        if self._alone is not None:
            self._alone.beat(now)
        if self.role is None or self._closed:
            return
        self._tune(now)
        sent = self._told_at
        # Who has intervals can resume from the mark alone: the newest offset it saw is not enough then.
        if self.audience is not None and self.audience.pacer is None:
            sent = max(sent, self.audience.sent_at)
        if now - sent >= self._room.heartbeat * 0.9:
            self._told_at = now
            self._say(events.Heartbeat(timestamp=self._wall(), offset=self.mark))

    def _tune(self, now: float) -> None:
        """Where the client wants only the newest values, and not even those get through, send fewer."""
        if not self._latest:
            return
        rate = self._rate
        if rate is None:
            rate = self._rate = Rate(now)
        if not rate.look(self._wire.pressure(), now):
            return
        self.rejoin()
        if not self._bare:
            self._say(events.Rate(interval=rate.interval, reason=rate.reason))

    @property
    def imposed(self) -> float:
        """Seconds between two values of a topic that this client has to put up with, since it does not keep up."""
        return self._rate.interval if self._rate is not None else 0.0

    @property
    def wire(self) -> Wire:
        """Where this client's frames go."""
        return self._wire

    def variant(self, subscriptions: tuple[Subscription, ...]) -> Variant:
        """The encoding of messages for a table of subscriptions."""
        return self.dialect.variant(subscriptions)

    @property
    def mark(self) -> int:
        """The resume mark: every matching message up to this offset was sent or named in a gap."""
        mark = self._room.hub.settled if self.audience is not None else self._room.log.newest
        floor = self.audience.floor(self._wire) if self.audience is not None else None
        if floor is not None:
            mark = min(mark, floor - 1)
        return self._replays.mark(mark)

    def closing(self, reason: str, retry_after: float) -> None:
        """Say goodbye; the connection closes behind it."""
        self._say(events.Closing(reason=reason, retry_after=round(retry_after, 2)))

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link to a broker changed its state."""
        if self.role is not None:
            self._say(self._upstream(state, self.role))

    def follows(self, topic: str) -> bool:
        """Whether the client wants to hear of what happens to `topic` beside its messages."""
        if self._bare or self.role is None:
            return False
        return any(matches(s.filter, topic) for s in self._table.values()) and may_see(self.role, topic)

    def tell(self, event: events.Event) -> None:
        """Send an event that is not this session's own doing (device, stale, rate)."""
        if self.role is not None:
            self._say(event)

    def _obey(self, command: Command) -> None:
        if isinstance(command, commands.Ping):
            self._say(events.Pong(id=command.id, timestamp=self._wall()))
            return
        if isinstance(command, commands.Auth):
            self._authenticate(command)
            return
        if self.role is None:
            raise CommandError("not-authenticated", "send auth with a token first", command.id)
        if isinstance(command, commands.Subscribe):
            self._subscribe(command, answer=True)
        elif isinstance(command, commands.Unsubscribe):
            self._unsubscribe(command)
        elif isinstance(command, commands.Publish):
            self._publish(command, self.role)
        else:
            self._questions.ask(self._room.archive, self.role, command, self.tell)

    def _pay(self, id: Id) -> None:
        """One command's price out of the client's budget (a token bucket)."""
        now, rate = self._room.clock(), self._room.limits.commands_per_second
        burst = rate * BURST_SECONDS
        self._tokens = min(burst, self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            self._refused = 0
            return
        self._refused += 1
        if self._refused > burst:
            raise CloseConnection(TOO_FAST.code, f"more than {rate:g} commands a second")
        raise CommandError("too-fast", f"at most {rate:g} commands a second, {burst:g} at once", id)

    def _authenticate(self, command: commands.Auth) -> None:
        authenticate = self._room.authenticate
        if authenticate is None:
            raise CommandError("unsupported", "this gateway asks for no token", command.id)
        verdict = authenticate(self, command.token)
        if isinstance(verdict, Refusal):
            self._error(CommandError("bad-token", verdict.reason, command.id))
            raise CloseConnection(NOT_AUTHENTICATED.code, verdict.reason)
        first = self.role is None
        self.become(verdict)
        if first:
            self._say(self._welcome(verdict.role))
            waiting, self._waiting_for_auth = self._waiting_for_auth, []
            for subscribe in waiting:
                self._subscribe(subscribe, answer=False)
        if command.id is not None:
            until = UNSET if verdict.expires is None else verdict.expires
            self._say(events.Ok(id=command.id, role=verdict.role.name, expires=until))

    def become(self, identity: Identity) -> None:
        """Go on as `identity`: signed in, renewed, or with a role that has changed under way.

        What the role does not allow any more ends at once, and the client is told.
        """
        before, role = self.role, identity.role
        self.identity, self.role = identity, role
        if before is None or before == role:
            return
        ended = [filter for filter in self._table if not grant(role, filter).granted]
        for filter in ended:
            del self._table[filter]
        self._replays.drop(ended)
        self._replays.forbid(role.deny)
        self.rejoin()
        for filter in ended:
            text = f'role "{role.name}" may not subscribe to {shorten(filter)} any more'
            self._error(CommandError("forbidden", text))

    def _mind_credential(self, now: float) -> None:
        room = self._room
        if self.role is None:
            if now - self._began_at >= room.auth_deadline:
                raise CloseConnection(NOT_AUTHENTICATED.code, f"no credential within {room.auth_deadline:g} s")
        elif self.identity is not None and self.identity.over(room.wall()):
            raise CloseConnection(NOT_AUTHENTICATED.code, "your credential has expired")

    def _subscribe(self, command: commands.Subscribe, *, answer: bool) -> None:
        assert self.role is not None
        results: list[dict[str, object]] = []
        granted: list[Subscription] = []
        wanted = list(dict.fromkeys(command.topics))
        if len(self._table.keys() | set(wanted)) > self._room.limits.subscriptions:
            raise CommandError(
                "too-many-subscriptions", f"at most {self._room.limits.subscriptions} a client", command.id
            )
        refused = None
        for filter in wanted:
            verdict = grant(self.role, filter)
            results.append({"filter": shorten(filter, 300), "granted": verdict.granted, "reason": verdict.reason})
            if verdict.granted:
                granted.append(
                    Subscription(filter, command.mode == "latest", command.interval, command.readings, command.data)
                )
            else:
                refused = verdict
        if refused is not None:
            # One line a command, however many filters it names.
            named = [str(result["filter"]) for result in results if not result["granted"]]
            self._audit("subscribe", "refused", filter=" ".join(named[:5]), count=len(named), reason=refused.reason)
        if not granted and refused is not None:
            if not answer:
                raise CloseConnection(FORBIDDEN.code, refused.reason or FORBIDDEN.meaning)
            raise CommandError(refused.code or "forbidden", refused.reason or FORBIDDEN.meaning, command.id)
        self._tokens -= self._room.hub.topics / TOPICS_A_COMMAND
        self._mind_window()
        replay = self._replay(command, granted)
        for subscription in granted:
            self._table[subscription.filter] = subscription
            self._news.add(subscription.filter)
        if answer:
            self._say(events.Ok(id=command.id, subscribed=results))
        if replay is None:
            self.rejoin()
            return
        self._replays.add(replay)

    def _replay(self, command: commands.Subscribe, granted: list[Subscription]) -> Replay | None:
        """The replay that `command` asks for, None where it wants none."""
        assert self.role is not None
        if command.replay == "none":
            return None
        # Where each subscription has its own copy of a message, nothing comes by another.
        live = self.audience.key if self.audience is not None and not self.dialect.copies else None
        return self._replays.begin(command.id, command.replay, granted, denies=self.role.deny, live=live)

    def _unsubscribe(self, command: commands.Unsubscribe) -> None:
        for filter in command.topics:
            self._table.pop(filter, None)
        self._replays.drop(command.topics)
        self.rejoin()
        self._say(events.Ok(id=command.id, unsubscribed=command.topics))

    def _publish(self, command: commands.Publish, role: Role) -> None:
        sender = self._room.sender
        fault = _publish_fault(command, role)
        if fault is None and sender is None:
            fault = CommandError("unsupported", "this gateway publishes nothing", command.id)
        if fault is not None:
            self._audit("publish", "refused", topic=command.topic, reason=fault.text)
            raise fault
        assert sender is not None

        def done(reason: str | None) -> None:
            self._audit("publish", "ok" if reason is None else "failed", topic=command.topic, reason=reason)
            if self._closed:
                return
            if reason is None:
                self._say(events.Ok(id=command.id, published=command.topic))
            else:
                self._error(CommandError("upstream-down", reason, command.id))

        sender.publish(command.topic, command.payload, qos=command.qos, retain=command.retain, done=done)

    def _audit(self, action: str, result: str, **facts: object) -> None:
        who = self.identity
        audit(
            action,
            result,
            address=self.address,
            session=self.id,
            user=who.user if who is not None else "",
            role=self.role.name if self.role is not None else "",
            **facts,
        )

    def _mind_window(self) -> None:
        """From the first subscription whose messages it acknowledges, this client is served alone."""
        window = self.dialect.window
        if window is None or self._alone is not None:
            return
        alone = Alone(self._line, window, self._room.clock)
        if self.audience is not None:
            self._room.hub.leave(self._wire, self.audience)
            self.audience = None
        self._alone = self._wire = alone
        self.rejoin()

    def rejoin(self) -> None:
        """Move to the audience of the table as it is now (without what is still being replayed)."""
        hub, role = self._room.hub, self.role
        assert role is not None
        held = self._replays.held
        self._latest = any(subscription.latest for subscription in self._table.values())
        table = tuple(sorted(self._paced(s) for s in self._table.values() if s.filter not in held))
        key = AudienceKey(self.dialect.variant(table), table, role.deny)
        news = self._news - held
        if news:
            # What stands now comes behind the snapshot.
            self._news -= news
            self._begin_news(news & self._table.keys())
        if self.audience is not None:
            if self.audience.key == key:
                return
            hub.leave(self._wire, self.audience)
            self.audience = None
            if self._closed:
                return  # what was under way for it was more than it may have: nobody is left to join
        self._replays.moved(key if table and not self.dialect.copies else None)
        if table:
            self.audience = hub.join(self._wire, key)

    def _begin_news(self, filters: set[str]) -> None:
        """Tell what stands now of the topics of `filters`."""
        role = self.role
        if self._bare or role is None or not filters:
            return

        def wanted(topic: str) -> bool:
            return any(matches(f, topic) for f in filters) and may_see(role, topic)

        self._telling.append(Telling(self._room.standing.told(wanted), self._say, lambda: not self._wire.queued))
        self._tell_news()

    def _tell_news(self) -> None:
        self._telling = [telling for telling in self._telling if not telling.over and not self._closed]
        for telling in self._telling:
            self._room.desk.add(telling)

    def _paced(self, subscription: Subscription) -> Subscription:
        """A subscription with the interval that is in force now."""
        if self._rate is None or not subscription.latest or self._rate.interval <= subscription.interval:
            return subscription
        return msgspec.structs.replace(subscription, interval=self._rate.interval)

    def _welcome(self, role: Role) -> events.Welcome:
        room = self._room
        return events.Welcome(
            version=1,
            gateway=room.name,
            build=room.build,
            session=self.id,
            epoch=room.log.epoch,
            offset=room.log.newest,
            timestamp=self._wall(),
            clock=room.clock_state,
            role=role.name,
            heartbeat=room.heartbeat,
            limits={
                "subscriptions": room.limits.subscriptions,
                "commands_per_second": int(room.limits.commands_per_second),
                "message_size": room.limits.message_size,
                **({"history": int(room.archive.reader.stored)} if room.archive is not None else {}),
            },
            upstreams=[{"name": s.name, "state": s.state, "since": s.since} for s in room.upstreams.states()],
            subscribe=list(role.subscribe),
        )

    def _upstream(self, state: UpstreamState, role: Role) -> events.Upstream:
        told = events.Upstream(name=state.name, state=state.state, since=state.since, retry_in=state.retry_in)
        if "gateway" in role.rights:
            return msgspec.structs.replace(told, host=state.url or "", reason=state.reason or "")
        return told

    def _error(self, error: CommandError) -> None:
        self._say(events.Error(id=error.id, code=error.code, message=error.text))

    def _say(self, event: events.Event) -> None:
        frame = self.dialect.event(event)
        if frame:
            self._wire.deliver(frame)
        if self.dialect.ended is not None and not self._closed:
            self._line.finish(self.dialect.ended.code, self.dialect.ended.reason)

    def _wall(self) -> float:
        return round(self._room.wall(), 3)


def _publish_fault(command: commands.Publish, role: Role) -> CommandError | None:
    """Why `role` may not send this message, None where it may."""
    try:
        validate_topic(command.topic)
    except ValueError as error:
        return CommandError("bad-filter", str(error), command.id)
    if command.topic.startswith("$"):
        return CommandError("forbidden", "topics that begin with $ are the broker's own", command.id)
    if not may_publish(role, command.topic):
        return CommandError("forbidden", f'role "{role.name}" may not publish to {shorten(command.topic)}', command.id)
    if command.retain and not role.retain:
        return CommandError("forbidden", f'role "{role.name}" may not publish retained messages', command.id)
    return None
