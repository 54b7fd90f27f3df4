"""One client's conversation, sans I/O: commands in, events and subscriptions out.

The session knows no socket: it speaks through a Wire, which puts every byte through the client's outbox.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.edge import commands, events
from gateway.edge.commands import Command, Id
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.replay import Replay
from gateway.edge.roles import Role, grant, may_publish
from gateway.errors import FORBIDDEN, NOT_AUTHENTICATED, TOO_FAST, CloseConnection, CommandError
from gateway.hub.audience import Audience, AudienceKey, Subscription, View, Viewer
from gateway.hub.batch import Batch
from gateway.hub.hub import Hub
from gateway.hub.log import Log, Page
from gateway.hub.message import Message
from gateway.hub.ports import UpstreamSender, UpstreamState, UpstreamStatus
from gateway.topics import shorten, validate_topic

BURST_SECONDS = 5  # a client may save up its commands for so long


class SessionLimits(msgspec.Struct, frozen=True):
    """What one client may ask for."""

    subscriptions: int = 100
    commands_per_second: float = 20.0
    message_size: int = 64 * 1024


class Room(msgspec.Struct):
    """What all sessions share; the daemon fills it. `clock` is monotonic seconds, `wall` Unix seconds.

    `authenticate` judges a token: the role, or the sentence that refuses it. `clock_state` is "ok" or "suspect".
    """

    hub: Hub
    log: Log
    name: str
    build: str
    heartbeat: float
    limits: SessionLimits
    clock: Callable[[], float]
    wall: Callable[[], float]
    upstreams: UpstreamStatus
    sender: UpstreamSender | None = None
    authenticate: Callable[[str], "Role | str"] | None = None
    auth_methods: tuple[str, ...] = ()
    auth_deadline: float = 10.0
    clock_state: str = "ok"


class Wire(Viewer, Protocol):
    """The connection as its session sees it."""

    def deliver(self, frame: bytes) -> None:
        """Send a frame of this client's own, in its place behind what already waits."""

    def finish(self, code: int, reason: str) -> None:
        """Close politely once everything before has gone."""


class Session:
    """A client from its first word to its last.

    `bare` clients came with `?topic=` and know no protocol: they get messages, replayed, gap and heartbeat, and with
    `status` also device, stale and rate objects.
    """

    def __init__(
        self, *, id: str, wire: Wire, dialect: Dialect, room: Room, role: Role | None, bare: bool = False
    ) -> None:
        self.id = id
        self.role = role
        self.dialect = dialect
        self.audience: Audience | None = None
        self.commands = 0
        self._wire = wire
        self._room = room
        self._bare = bare
        self._table: dict[str, Subscription] = {}
        self._pending: deque[Replay] = deque()
        self._waiting_for_auth: list[commands.Subscribe] = []
        self._burst = room.limits.commands_per_second * BURST_SECONDS
        self._tokens = self._burst
        self._tokens_at = room.clock()
        self._refused = 0
        self._advancing = False
        self._told_at = room.clock()
        self._closed = False

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The live subscriptions and those whose replay is under way."""
        return tuple(self._table.values())

    def start(self, subscribe: commands.Subscribe | None = None) -> None:
        """Say the first word, and carry out what the address already asked for."""
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
            self.commands += 1
            if isinstance(command, CommandError):
                self._pay(command.id)
                self._error(command)
                continue
            try:
                self._pay(command.id)
                self._obey(command)
            except CommandError as error:
                self._error(error)

    def end(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._pending.clear()
        if self.audience is not None:
            self._room.hub.leave(self._wire, self.audience, gone=True)
            self.audience = None

    def drained(self) -> None:
        """The outbox is empty: a replay may go on."""
        if self._pending and not self._advancing:
            self._advance()

    def beat(self, now: float) -> None:
        """At every heartbeat interval: tell a client to whom nothing was sent that the gateway is still here."""
        if self.role is None or self._closed:
            return
        sent = max(self._told_at, self.audience.sent_at if self.audience is not None else 0.0)
        if now - sent >= self._room.heartbeat * 0.9:
            self._told_at = now
            self._say(events.Heartbeat(timestamp=self._wall(), offset=self.mark))

    @property
    def mark(self) -> int:
        """The resume mark: every matching message up to this offset was sent or named in a gap."""
        mark = self._room.hub.settled if self.audience is not None else self._room.log.newest
        for replay in self._pending:
            mark = min(mark, replay.cursor)
        return mark

    def closing(self, reason: str, retry_after: float) -> None:
        """Say goodbye; the connection closes behind it."""
        self._say(events.Closing(reason=reason, retry_after=round(retry_after, 2)))

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link to a broker changed its state."""
        if self.role is not None:
            self._say(self._upstream(state, self.role))

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
            raise CommandError("unsupported", "this gateway keeps no series of numbers", command.id)

    def _pay(self, id: Id) -> None:
        """One command's price out of the client's budget (a token bucket)."""
        now, rate = self._room.clock(), self._room.limits.commands_per_second
        self._tokens = min(self._burst, self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            self._refused = 0
            return
        self._refused += 1
        if self._refused > self._burst:
            raise CloseConnection(TOO_FAST.code, f"more than {rate:g} commands a second")
        raise CommandError("too-fast", f"at most {rate:g} commands a second, {self._burst:g} at once", id)

    def _authenticate(self, command: commands.Auth) -> None:
        authenticate = self._room.authenticate
        if authenticate is None:
            raise CommandError("unsupported", "this gateway asks for no token", command.id)
        verdict = authenticate(command.token)
        if isinstance(verdict, str):
            self._error(CommandError("bad-token", verdict, command.id))
            raise CloseConnection(NOT_AUTHENTICATED.code, "no or bad credentials")
        first = self.role is None
        self.role = verdict
        if first:
            self._say(self._welcome(verdict))
            waiting, self._waiting_for_auth = self._waiting_for_auth, []
            for subscribe in waiting:
                self._subscribe(subscribe, answer=False)
        else:
            self._rejoin()
        if command.id is not None:
            self._say(events.Ok(id=command.id, role=verdict.name))

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
        if not granted and refused is not None:
            if not answer:
                raise CloseConnection(FORBIDDEN.code, refused.reason or FORBIDDEN.meaning)
            raise CommandError(refused.code or "forbidden", refused.reason or FORBIDDEN.meaning, command.id)
        replay = self._replay(command, granted)
        for subscription in granted:
            self._table[subscription.filter] = subscription
        if answer:
            self._say(events.Ok(id=command.id, subscribed=results))
        if replay is None:
            self._rejoin()
            return
        self._pending.append(replay)
        if not self._wire.queued and not self._advancing:
            self._advance()

    def _replay(self, command: commands.Subscribe, granted: list[Subscription]) -> Replay | None:
        """The replay that `command` asks for, None where it wants none."""
        assert self.role is not None
        log, wish = self._room.log, command.replay
        if wish == "none":
            return None
        replay = Replay(
            command.id,
            granted,
            denies=self.role.deny,
            cursor=log.newest,
            target=log.newest,
            already=self.audience.key.wants if self.audience is not None else None,
        )
        if isinstance(wish, commands.ReplayCount):
            if wish.count < 1:
                return replay
            replay.cursor = log.offset_of_last(wish.count, lambda topic: replay.view(topic) is not None)
        elif isinstance(wish, commands.ReplayAge):
            replay.cursor = log.offset_before(max(0.0, wish.age))
        elif isinstance(wish, commands.ReplayFrom) and wish.epoch == log.epoch and 0 <= wish.offset <= log.newest:
            replay.cursor = wish.offset
        else:
            if isinstance(wish, commands.ReplayFrom):
                replay.complete = False
                self._say(events.Gap(from_=wish.offset + 1, to=log.newest, count=None, topics={}, reason="restart"))
            replay.snapshot = self._room.hub.last(lambda topic: replay.view(topic) is not None) or None
        return replay

    def _unsubscribe(self, command: commands.Unsubscribe) -> None:
        for filter in command.topics:
            self._table.pop(filter, None)
            for replay in self._pending:
                replay.drop(filter)
        self._pending = deque(replay for replay in self._pending if replay.subscriptions)
        self._rejoin()
        self._say(events.Ok(id=command.id, unsubscribed=command.topics))

    def _publish(self, command: commands.Publish, role: Role) -> None:
        try:
            validate_topic(command.topic)
        except ValueError as error:
            raise CommandError("bad-filter", str(error), command.id) from None
        if command.topic.startswith("$"):
            raise CommandError("forbidden", "topics that begin with $ are the broker's own", command.id)
        if not may_publish(role, command.topic):
            text = f'role "{role.name}" may not publish to {shorten(command.topic)}'
            raise CommandError("forbidden", text, command.id)
        if command.retain and not role.retain:
            raise CommandError("forbidden", f'role "{role.name}" may not publish retained messages', command.id)
        if self._room.sender is None:
            raise CommandError("unsupported", "this gateway publishes nothing", command.id)

        def done(reason: str | None) -> None:
            if self._closed:
                return
            if reason is None:
                self._say(events.Ok(id=command.id, published=command.topic))
            else:
                self._error(CommandError("upstream-down", reason, command.id))

        self._room.sender.publish(command.topic, command.payload, qos=command.qos, retain=command.retain, done=done)

    def _advance(self) -> None:
        """Go on with the first replay as long as the client's socket takes it."""
        self._advancing = True
        try:
            self._advance_while_taken()
        finally:
            self._advancing = False

    def _advance_while_taken(self) -> None:
        while self._pending and not self._wire.queued and not self._closed:
            replay = self._pending[0]
            if replay.waiting:
                return
            if replay.snapshot is not None:
                self._send_page(replay, replay.next_of_snapshot())
            elif replay.cursor < replay.target:
                replay.waiting = True
                self._room.log.read(replay.cursor, replay.target, lambda page, r=replay: self._paged(r, page))  # type: ignore[misc]
            elif not replay.chase(self._room.log.newest):
                self._hand_over(replay)

    def _paged(self, replay: Replay, page: Page) -> None:
        replay.waiting = False
        if self._closed or replay not in self._pending:
            return
        if page.gone is not None:
            replay.complete = False
            first, last = page.gone
            self._say(events.Gap(from_=first, to=last, count=None, topics={}, reason=page.reason))
        replay.cursor = page.reached
        self._send_page(replay, page.messages)
        if not self._advancing:
            self._advance()

    def _send_page(self, replay: Replay, messages: list[Message]) -> None:
        frames = self._encode(replay, messages)
        if frames:
            replay.count += len(frames)
            self._wire.push(Batch(frames, None))

    def _encode(self, replay: Replay, messages: list[Message]) -> list[bytes]:
        variant = self.dialect.variant(self.subscriptions)
        encoders: dict[str, Callable[[Message], bytes]] = {}
        frames = []
        for message in messages:
            view = replay.wants(message)
            if view is None:
                continue
            encode = encoders.get(message.topic)
            if encode is None:
                encode = encoders[message.topic] = variant.encoder(message.topic, view)
            frames.append(encode(message))
        return frames

    def _hand_over(self, replay: Replay) -> None:
        """End the replay: what came in since goes out as live, and the client joins its audience in the same turn."""
        self._pending.popleft()
        self._say(events.Replayed(id=replay.id, count=replay.count, complete=replay.complete, offset=replay.cursor))
        log = self._room.log
        pages: list[Page] = []
        while replay.cursor < log.newest:
            log.read(replay.cursor, log.newest, pages.append)
            page = pages.pop()
            replay.cursor = page.reached
            if page.gone is not None:
                self._say(events.Gap(from_=page.gone[0], to=page.gone[1], count=None, topics={}, reason=page.reason))
            self._push_live(replay, page.messages)
        self._rejoin()

    def _push_live(self, replay: Replay, messages: list[Message]) -> None:
        variant = self.dialect.variant(self.subscriptions)
        kept = [(m, view) for m in messages if (view := replay.wants(m)) is not None]
        if kept:
            frames = [variant.encoder(m.topic, View(view.readings, view.data))(m) for m, view in kept]
            self._wire.push(Batch(frames, [m for m, _ in kept]))

    def _rejoin(self) -> None:
        """Move to the audience of the table as it is now (without what is still being replayed)."""
        hub, role = self._room.hub, self.role
        assert role is not None
        held = {s.filter for replay in self._pending for s in replay.subscriptions}
        table = tuple(sorted(s for s in self._table.values() if s.filter not in held))
        key = AudienceKey(self.dialect.variant(table), table, role.deny)
        if self.audience is not None:
            if self.audience.key == key:
                return
            hub.leave(self._wire, self.audience)
            self.audience = None
        if table:
            self.audience = hub.join(self._wire, key)

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
            },
            upstreams=[{"name": s.name, "state": s.state, "since": s.since} for s in room.upstreams.states()],
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

    def _wall(self) -> float:
        return round(self._room.wall(), 3)
