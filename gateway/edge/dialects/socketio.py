"""Socket.IO 4 over Engine.IO 4, at `/socket.io/`: WebSocket transport, namespace `/`.

Events of the client: `subscribe`, `unsubscribe`, `publish`, `auth`, `ping`, `history`, with the native protocol's
fields; their acknowledgement gets its `ok` or `error` object. Events of the gateway bear the native types' names.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gateway.edge import commands, events
from gateway.edge.commands import Command
from gateway.edge.dialects import framing
from gateway.edge.dialects import socketio_packets as packets
from gateway.edge.dialects.dialect import Spoken
from gateway.edge.dialects.native import JsonVariant, command_of
from gateway.edge.dialects.socketio_recovery import Recovery, Remembered
from gateway.edge.dialects.window import Window
from gateway.errors import NO_PONG, NOT_AUTHENTICATED, PROTOCOL_ERROR, CloseConnection, CommandError
from gateway.hub.subscription import Subscription

NAME = "socket.io"
PATH = "/socket.io/"
WEBSOCKET_ONLY = 'polling is not offered here: io(url, {transports: ["websocket"]})'
VERSION = ("EIO", "4")
OTHER_VERSION = "Engine.IO 4 is spoken here, as socket.io-client 3 and 4 speak it: take one of these"
SIGN_IN = "connect"
INTERVAL, TIMEOUT = 20.0, 20.0  # seconds; Engine.IO, "Heartbeat"
CONNECT_DEADLINE = 45.0  # Socket.IO's own connectTimeout


class _Call(NamedTuple):
    ack: int | None
    command: Command


class SocketIo:
    """One client's Socket.IO. `limit` is the largest packet taken, in bytes; `new_id` makes ids nobody can guess."""

    name = NAME
    queries = False
    copies = False
    beats = True
    window: Window | None = None

    def __init__(self, *, limit: int, new_id: Callable[[], str], recovery: Recovery, json: JsonVariant) -> None:
        self.ended: CloseConnection | None = None
        self._limit = limit
        self._new_id = new_id
        self._recovery = recovery
        self._json = json
        self._opened = False
        self._connected = False
        self._welcome: events.Welcome | None = None
        self._wants: dict[str, Any] | None = None
        self._pid = ""
        self._remembered: Remembered | None = None
        self._calls: dict[str, _Call] = {}
        self._number = 0
        self._waiting: packets.Packet | None = None
        self._attachments: list[bytes] = []
        self._began_at: float | None = None
        self._pinged_at = 0.0
        self._answered = True

    # Bytes to commands.

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        try:
            return self._message(data.decode()) if text else self._attached(data)
        except packets.Malformed as error:
            raise CloseConnection(PROTOCOL_ERROR.code, str(error)) from None

    def _message(self, text: str) -> list[Spoken]:
        kind, rest = text[:1], text[1:]
        if self._waiting is not None and kind == packets.MESSAGE:
            raise packets.Malformed("an event came before the attachments of the last")
        if kind == packets.PONG:
            self._answered = True
            return []
        if kind == packets.CLOSE:
            return [CloseConnection(1000, "closed")]
        if kind == packets.PING:
            return [framing.text(packets.PONG.encode() + rest.encode())]
        if kind != packets.MESSAGE:
            raise packets.Malformed(f"a client does not send Engine.IO packets of type {kind!r} here")
        return self._packet(packets.read(rest))

    def _packet(self, packet: packets.Packet) -> list[Spoken]:
        if packet.namespace != "/":
            if packet.kind != packets.CONNECT:
                return []
            return [packets.packet(packets.CONNECT_ERROR, {"message": "Invalid namespace"}, namespace=packet.namespace)]
        if packet.kind == packets.CONNECT:
            return self._sign_in(packet.data or {})
        if packet.kind == packets.DISCONNECT:
            return [CloseConnection(1000, "disconnected")]
        if self._wants is None:
            raise packets.Malformed("the first packet is a CONNECT")
        if packet.attachments:
            self._waiting, self._attachments = packet, []
            return []
        return [] if packet.kind == packets.ACK else self._event(packet.data, packet.ack)

    def _attached(self, data: bytes) -> list[Spoken]:
        packet = self._waiting
        if packet is None:
            raise packets.Malformed("an attachment that no event announced")
        self._attachments.append(data)
        if sum(map(len, self._attachments)) > self._limit:
            raise packets.Malformed(f"attachments have at most {self._limit} bytes together")
        if len(self._attachments) < packet.attachments:
            return []
        self._waiting = None
        return self._event(packets.join(packet.data, self._attachments), packet.ack)

    def _sign_in(self, wants: dict[str, Any]) -> list[Spoken]:
        if self._wants is not None:
            raise packets.Malformed("a second CONNECT")
        self._wants = wants
        token = wants.get("token")
        said: list[Spoken] = []
        if isinstance(token, str) and token:
            said.append(commands.Auth(token=token, id=SIGN_IN))
        elif self._welcome is None:
            why = "sign in: auth is {token}"
            error = packets.packet(packets.CONNECT_ERROR, {"message": why})
            return [error, CloseConnection(NOT_AUTHENTICATED.code, why)]
        else:
            said.append(self._accepted())
        before = self._recovery.find(str(wants.get("pid")))
        if before is not None:
            offset = str(wants.get("offset") or before.start)
            said += [self._call(command, None) for command in before.again(offset)]
        return said

    def _accepted(self) -> bytes:
        wants, welcome = self._wants, self._welcome
        assert wants is not None
        assert welcome is not None
        pid, start = str(wants.get("pid")), f"{welcome.epoch}:{welcome.offset}"
        before = self._recovery.find(pid)
        if before is None:
            pid = self._new_id()
            before = self._recovery.begin(pid, self._new_id(), start)
        self._pid, self._remembered, self._connected = pid, before, True
        reply = packets.packet(packets.CONNECT, {"sid": before.sid, "pid": pid})
        return reply + packets.packet(packets.EVENT, ["welcome", welcome])

    def _event(self, data: list[Any], ack: int | None) -> list[Spoken]:
        name, arguments = data[0], data[1:]
        fields = packets.fields(name, arguments)
        id = self._next_id()
        try:
            if not isinstance(fields, dict):
                raise CommandError("bad-json", f"the argument of {name[:20]} is an object")
            return [self._call(command_of({**fields, "type": name, "id": id}), ack)]
        except CommandError as error:
            self._calls[id] = _Call(ack, commands.Ping())
            return [CommandError(error.code, error.text, id)]
        except TypeError as error:
            self._calls[id] = _Call(ack, commands.Ping())
            return [CommandError("bad-json", f"data has no form in JSON: {error}", id)]

    def _next_id(self) -> str:
        self._number += 1
        return str(self._number)

    def _call(self, command: Command, ack: int | None) -> Command:
        if command.id is None:
            command = msgspec.structs.replace(command, id=self._next_id())
        self._calls[str(command.id)] = _Call(ack, command)
        return command

    # Events to bytes.

    def event(self, event: events.Event) -> bytes:
        if isinstance(event, events.Welcome | events.AuthRequired):
            return self._first_word(event)
        if isinstance(event, events.Ok | events.Error | events.Pong):
            return self._answer(event)
        if not self._connected:
            return b""
        data: list[Any] = [event.__struct_config__.tag, event]
        # Where the client has everything up to an offset, the packet ends with it.
        complete = isinstance(event, events.Heartbeat) or (isinstance(event, events.Replayed) and self._settle(event))
        if complete and self._welcome is not None:
            data.append(f"{self._welcome.epoch}:{event.offset}")  # type: ignore[attr-defined]
        return packets.packet(packets.EVENT, data)

    def _first_word(self, event: events.Event) -> bytes:
        again = self._welcome is not None
        if isinstance(event, events.Welcome):
            self._welcome = event
        if again and self._connected:
            return packets.packet(packets.EVENT, ["welcome", event])
        if self._opened:
            return b""
        self._opened = True
        return packets.opening(self._new_id(), interval=INTERVAL, timeout=TIMEOUT, limit=self._limit)

    def _answer(self, event: events.Ok | events.Error | events.Pong) -> bytes:
        if event.id == SIGN_IN:
            if isinstance(event, events.Error) and not (event.code == "unsupported" and self._welcome is not None):
                self.ended = CloseConnection(NOT_AUTHENTICATED.code, event.message)
                return packets.packet(packets.CONNECT_ERROR, {"message": event.message, "data": {"code": event.code}})
            return self._accepted()
        call = self._calls.get(str(event.id))
        if call is None:
            return packets.packet(packets.EVENT, ["error", event]) if isinstance(event, events.Error) else b""
        if not (isinstance(event, events.Ok) and isinstance(call.command, commands.Subscribe)):
            del self._calls[str(event.id)]
        if isinstance(event, events.Ok):
            self._remember(call.command, event)
        if call.ack is not None:
            return packets.packet(packets.ACK, [event], ack=call.ack)
        return packets.packet(packets.EVENT, ["error", event]) if isinstance(event, events.Error) else b""

    def _remember(self, command: Command, answer: events.Ok) -> None:
        remembered = self._remembered
        assert remembered is not None
        if isinstance(command, commands.Unsubscribe):
            for filter in command.topics:
                remembered.wishes.pop(filter, None)
                remembered.settled.discard(filter)
            for id, call in list(self._calls.items()):
                if isinstance(call.command, commands.Subscribe) and not remembered.wishes.keys() & call.command.topics:
                    del self._calls[id]  # its replay ends without a word
        elif isinstance(command, commands.Subscribe):
            told = answer.subscribed if isinstance(answer.subscribed, list) else []
            for filter, verdict in zip(dict.fromkeys(command.topics), told, strict=False):
                if verdict["granted"]:
                    remembered.wishes[filter] = command
                    remembered.settled.discard(filter)
                    if command.replay == "none":
                        remembered.settled.add(filter)
            if command.replay == "none":
                self._calls.pop(str(command.id), None)

    def _settle(self, event: events.Replayed) -> bool:
        """A replay has ended; whether it was of everything that this client follows: it has all up to there then."""
        call, remembered = self._calls.pop(str(event.id), None), self._remembered
        if call is None or not isinstance(call.command, commands.Subscribe) or remembered is None:
            return False
        remembered.settled.update(f for f in call.command.topics if f in remembered.wishes)
        return remembered.wishes.keys() <= set(call.command.topics)

    def variant(self, table: tuple[Subscription, ...]) -> packets.SocketIoVariant:
        # Values that an interval holds back come behind newer ones: there only the heartbeat's mark is safe. So it is
        # while another subscription's replay is under way, whose messages lie before these.
        replaying = any(isinstance(call.command, commands.Subscribe) for call in self._calls.values())
        marked = self._welcome is not None and not replaying and not any(s.interval for s in table)
        epoch = self._welcome.epoch if self._welcome is not None and marked else None
        return packets.SocketIoVariant(epoch, self._json)

    def farewell(self, end: CloseConnection) -> bytes:
        return b""  # a disconnect packet would keep the client from coming back by itself

    def beat(self, now: float) -> bytes:
        if self._began_at is None:
            self._began_at = self._pinged_at = now
        if self._pid:
            self._recovery.seen(self._pid, now)
        elif now - self._began_at > CONNECT_DEADLINE:
            raise CloseConnection(PROTOCOL_ERROR.code, "no CONNECT in time")
        if not self._answered:
            if now - self._pinged_at > TIMEOUT:
                raise CloseConnection(NO_PONG.code, NO_PONG.meaning)
            return b""
        if now - self._pinged_at < INTERVAL - 1.0 or not self._opened:
            return b""
        self._answered, self._pinged_at = False, now
        return framing.text(packets.PING.encode())
