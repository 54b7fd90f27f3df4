"""One client's conversation, sans I/O: commands in, events and subscriptions out.

The session knows no socket: it speaks through a Wire, which puts every byte through the client's outbox.
"""

from msgspec import UNSET

from gateway.edge import commands, events
from gateway.edge.audit import audit
from gateway.edge.commandrate import CommandRate
from gateway.edge.commands import Command
from gateway.edge.credentials import Identity, Refusal
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.history import Questions
from gateway.edge.publishing import publish
from gateway.edge.roles import Role
from gateway.edge.room import Room
from gateway.edge.subscriptions import Subscriptions
from gateway.edge.welcome import upstream, welcome
from gateway.edge.wire import Line
from gateway.errors import FORBIDDEN, NOT_AUTHENTICATED, CloseConnection, CommandError
from gateway.hub.audience import Audience
from gateway.hub.ports import UpstreamState
from gateway.hub.subscription import Subscription
from gateway.topics import shorten

TOPICS_A_COMMAND = 10_000  # topics that a subscribe may look through at the price of one more command


class Session:
    """A client from its first word to its last.

    `bare` clients came with `?topic=` and know no protocol: they get messages, replayed, gap and heartbeat, and with
    `status` also device, stale and rate objects. `role` is that of `identity`; None until somebody has signed in.
    """

    __slots__ = (
        "_bare",
        "_began_at",
        "_closed",
        "_line",
        "_questions",
        "_rate",
        "_room",
        "_subscriptions",
        "_told_at",
        "_waiting_for_auth",
        "address",
        "commands",
        "dialect",
        "id",
        "identity",
        "role",
    )

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
        self.commands = 0
        self._line = wire
        self._room = room
        self._bare = bare
        self._subscriptions = Subscriptions(self, line=wire, dialect=dialect, room=room, bare=bare)
        self._waiting_for_auth: list[commands.Subscribe] = []
        self._told_at = self._began_at = room.clock()
        self._rate = CommandRate(room.limits.commands_per_second, self._began_at)
        self._questions = Questions()
        self._closed = False

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The live subscriptions and those whose replay is under way."""
        return self._subscriptions.all

    @property
    def audience(self) -> Audience | None:
        """Where its live messages come from."""
        return self._subscriptions.audience

    @property
    def mark(self) -> int:
        """The resume mark: every matching message up to this offset was sent or named in a gap."""
        return self._subscriptions.mark

    @property
    def imposed(self) -> float:
        """Seconds between two values of a topic that this client has to put up with, since it does not keep up."""
        return self._subscriptions.imposed

    def start(self, subscribe: commands.Subscribe | None = None) -> None:
        """Say the first word, and carry out what the address already asked for, where the dialect has it so."""
        if not self.dialect.queries:
            subscribe = None
        if self.role is None:
            if subscribe is not None:
                self._waiting_for_auth.append(subscribe)
            room = self._room
            self.say(events.AuthRequired(methods=list(room.auth_methods), deadline=room.auth_deadline))
            return
        self.say(welcome(self._room, self.id, self.role))
        if subscribe is not None:
            self._subscribe(subscribe, self.role, answer=False)

    def receive(self, data: bytes, *, text: bool) -> None:
        """Take one WebSocket message. Raises CloseConnection where the conversation has to end."""
        for command in self.dialect.commands(data, text=text):
            if self._closed:
                return
            self.commands += 1
            if isinstance(command, CloseConnection):
                raise command
            try:
                # Signing in is free: a client may come back with all the subscriptions that it may have at once.
                if self.commands > 1 or not isinstance(command, bytes | commands.Auth):
                    self._rate.pay(None if isinstance(command, bytes) else command.id, self._room.clock())
                if isinstance(command, bytes):
                    self._subscriptions.wire.deliver(command)
                elif isinstance(command, CommandError):
                    self._error(command)
                else:
                    self._obey(command)
            except CommandError as error:
                self._error(error)
        self._subscriptions.acknowledged()

    def end(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._subscriptions.end()

    def drained(self) -> None:
        """The outbox is empty: a replay may go on."""
        self._subscriptions.drained()

    def beat(self, now: float) -> float:
        """After a heartbeat interval without a word, tell the client that the gateway is here.

        Returns when to call it again, in monotonic seconds like `now`, if nothing happens until then. Raises
        CloseConnection where the client has been silent for too long, or its credential ends here.
        """
        if self._closed:
            return now
        self._mind_credential(now)
        mine = self._subscriptions
        if sign := self.dialect.beat(now):
            mine.wire.deliver(sign)
        mine.beat(now)
        if self.role is None or self._closed:
            return now
        tuned = mine.tune(now)
        if tuned is not None and not self._bare:
            self.say(tuned)
        silence = self._room.heartbeat * 0.9
        silent_since = max(self._told_at, mine.sent_at)
        if now - silent_since >= silence:
            silent_since = self._told_at = now
            self.say(events.Heartbeat(timestamp=self._room.now(), offset=self.mark))
        expires = self.identity is not None and self.identity.expires is not None
        return now if expires or mine.restless or self.dialect.beats else silent_since + silence

    def farewell(self, code: int, reason: str) -> None:
        """Say why it ends, in the client's own protocol; the close frame comes behind it."""
        if not self._closed and (last := self.dialect.farewell(CloseConnection(code, reason))):
            self._subscriptions.wire.deliver(last)

    def closing(self, reason: str, retry_after: float) -> None:
        """Say goodbye; the connection closes behind it."""
        self.say(events.Closing(reason=reason, retry_after=round(retry_after, 4)))

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link to a broker changed its state."""
        if self.role is not None:
            self.say(upstream(state, self.role))

    def clock_changed(self) -> None:
        """The gateway's clock is not to be trusted, or is again: `welcome` says so once more."""
        if self.role is not None:
            self.say(welcome(self._room, self.id, self.role))

    def follows(self, topic: str) -> bool:
        """Whether the client wants to hear of what happens to `topic` beside its messages."""
        return self._subscriptions.sees(topic)

    def tell(self, event: events.Event) -> None:
        """Send an event to whoever has signed in."""
        if self.role is not None:
            self.say(event)

    def say(self, event: events.Event) -> None:
        """Send an event in its place behind what already waits; nothing follows a close frame (RFC 6455, 5.5.1)."""
        if self._closed:
            return
        frame = self.dialect.event(event)
        if frame:
            self._subscriptions.wire.deliver(frame)
        if self.dialect.ended is not None and not self._closed:
            self._line.finish(self.dialect.ended.code, self.dialect.ended.reason)

    def audit(self, action: str, result: str, **facts: object) -> None:
        """Write down what this client did."""
        user = self.identity.user if self.identity is not None else ""
        role = self.role.name if self.role is not None else ""
        audit(action, result, address=self.address, session=self.id, user=user, role=role, **facts)

    # Its commands.

    def _obey(self, command: Command) -> None:
        if isinstance(command, commands.Ping):
            self.say(events.Pong(id=command.id, timestamp=self._room.now()))
            return
        if isinstance(command, commands.Auth):
            self._authenticate(command)
            return
        if self.role is None:
            raise CommandError("not-authenticated", "send auth with a token first", command.id)
        if isinstance(command, commands.Subscribe):
            self._subscribe(command, self.role, answer=True)
        elif isinstance(command, commands.Unsubscribe):
            self._subscriptions.remove(command)
        elif isinstance(command, commands.Publish):
            publish(command, self.role, self._room.sender, self)
        else:
            self._questions.ask(self._room.archive, self.role, command, self.tell)

    def _subscribe(self, command: commands.Subscribe, role: Role, *, answer: bool) -> None:
        try:
            request = self._subscriptions.judge(command, role)
        except CommandError as error:
            if answer:
                raise
            raise CloseConnection(FORBIDDEN.code, error.text) from None
        refused = request.refused
        if refused is not None:
            # One line a command, however many filters it names.
            named = request.refused_filters
            self.audit("subscribe", "refused", filter=" ".join(named[:5]), count=len(named), reason=refused.reason)
        if not request.granted and refused is not None:
            if not answer:
                raise CloseConnection(FORBIDDEN.code, refused.reason or FORBIDDEN.meaning)
            raise CommandError(refused.code or "forbidden", refused.reason or FORBIDDEN.meaning, command.id)
        self._rate.charge(len(self._room.hub.values) / TOPICS_A_COMMAND)
        self._subscriptions.add(command, request, role, answer=answer)

    def _error(self, error: CommandError) -> None:
        self._room.refused[error.code] += 1
        self.say(events.Error(id=error.id, code=error.code, message=error.text))

    # Who it is.

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
            self.say(welcome(self._room, self.id, verdict.role))
            waiting, self._waiting_for_auth = self._waiting_for_auth, []
            for subscribe in waiting:
                self._subscribe(subscribe, verdict.role, answer=False)
        if command.id is not None:
            until = UNSET if verdict.expires is None else verdict.expires
            self.say(events.Ok(id=command.id, role=verdict.role.name, expires=until))

    def become(self, identity: Identity) -> None:
        """Go on as `identity`: signed in, renewed, or with a role that has changed under way.

        What the role does not allow any more ends at once, and the client is told.
        """
        before, role = self.role, identity.role
        self.identity, self.role = identity, role
        if before is None or before == role:
            return
        for filter in self._subscriptions.restrict(role):
            text = f'role "{role.name}" may not subscribe to {shorten(filter)} any more'
            self._error(CommandError("forbidden", text))

    def _mind_credential(self, now: float) -> None:
        room = self._room
        if self.role is None:
            if now - self._began_at >= room.auth_deadline:
                raise CloseConnection(NOT_AUTHENTICATED.code, f"no credential within {room.auth_deadline:g} s")
        elif self.identity is not None and self.identity.over(room.wall()):
            raise CloseConnection(NOT_AUTHENTICATED.code, "your credential has expired")
