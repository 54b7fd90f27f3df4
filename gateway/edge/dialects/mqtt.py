"""MQTT 3.1.1 and 5 over WebSocket: `mqtt` (MQTT 5.0, clause 6). The gateway is no broker, and says so where it must.

Last values are its retained messages; no session outlives its connection; wills are not kept; QoS 2 is granted as 1.
"""

from collections.abc import Callable, Hashable

import msgspec

from gateway.edge import commands, events
from gateway.edge.dialects import mqtt_writer as write
from gateway.edge.dialects.dialect import Spoken
from gateway.edge.dialects.mqtt_packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Subscribe,
    Unsubscribe,
    read,
    split,
)
from gateway.edge.dialects.mqtt_reader import V3, V5, Property, Reason, Violation
from gateway.edge.dialects.mqtt_subscriptions import EVENTS, Subscriptions, identifier
from gateway.edge.dialects.window import Window
from gateway.errors import FORBIDDEN, NO_PONG, NOT_AUTHENTICATED, PROTOCOL_ERROR, TOO_FAST, WRONG_DATA, CloseConnection
from gateway.hub.subscription import Subscription

NAME = "mqtt"
RECEIVE_MAXIMUM = 100
IN_FLIGHT = 1024  # even of those that would take more: a free packet identifier has to be found among them
CONNECT_DEADLINE = 10.0  # seconds; 3.1: "a reasonable amount of time"
SIGN_IN = "connect"

_json = msgspec.json.Encoder().encode
_REASONS = {
    "forbidden": Reason.NOT_AUTHORIZED,
    "not-authenticated": Reason.NOT_AUTHORIZED,
    "bad-token": Reason.BAD_USER_NAME_OR_PASSWORD,
    "bad-filter": Reason.FILTER_INVALID,
    "too-many-subscriptions": Reason.QUOTA_EXCEEDED,
    "too-fast": Reason.QUOTA_EXCEEDED,
    "upstream-down": Reason.UNSPECIFIED,
    "unsupported": Reason.IMPLEMENTATION_SPECIFIC,
}
_CODES = {"forbidden": FORBIDDEN.code, "too-fast": TOO_FAST.code}
# What a DISCONNECT says (3.14.2.1) beside a violation of the standard, and a stop, which are told where they happen.
_ENDS = {
    NOT_AUTHENTICATED.code: Reason.NOT_AUTHORIZED,
    FORBIDDEN.code: Reason.NOT_AUTHORIZED,
    NO_PONG.code: Reason.KEEP_ALIVE_TIMEOUT,
    TOO_FAST.code: Reason.MESSAGE_RATE_TOO_HIGH,
}


class Mqtt:
    """One client's MQTT. `limit` is the largest packet taken, in bytes; `new_id` names a client that has no name."""

    name = NAME
    queries = False
    copies = True
    beats = True

    def __init__(self, *, limit: int, new_id: Callable[[], str]) -> None:
        self.ended: CloseConnection | None = None
        self.window: Window | None = None
        self._limit = limit
        self._new_id = new_id
        self._buffer = bytearray()
        self._connect: Connect | None = None
        self._connected = False
        self._welcome: events.Welcome | None = None
        self._version = V3
        self._subscriptions = Subscriptions()
        self._publishing: set[int] = set()
        self._packet_id = 0
        self._heard = True
        self._heard_at: float | None = None

    # Bytes to commands.

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        if text:
            raise CloseConnection(WRONG_DATA.code, "MQTT speaks in binary frames")
        self._heard = True
        self._buffer += data
        said: list[Spoken] = []
        try:
            for first, body in split(self._buffer, self._limit):
                packet = read(first, body, self._version)
                said += self._signed_in(packet) if self._connect is not None else self._sign_in(packet)
        except Violation as violation:
            said += self._broken(violation)
        return said

    def _broken(self, violation: Violation) -> list[Spoken]:
        code = 1009 if violation.reason is Reason.PACKET_TOO_LARGE else PROTOCOL_ERROR.code
        end = CloseConnection(code, violation.text)
        if self._connect is not None:
            last = write.disconnect(self._version, violation.reason, violation.text)
            return [last, end] if last else [end]
        if violation.reason is Reason.UNSUPPORTED_VERSION:
            # 3.1.2.2: whoever speaks another version understands the code of the older form.
            return [write.connack(V3, violation.reason, {}), end]
        return [end]

    def _sign_in(self, packet: Packet) -> list[Spoken]:
        if not isinstance(packet, Connect):
            raise Violation(Reason.PROTOCOL_ERROR, "the first packet is a CONNECT")
        self._connect, self._version = packet, packet.version
        if packet.version == V3 and not packet.client_id and not packet.clean:
            return self._refused(Reason.CLIENT_ID_NOT_VALID, "a client without a name starts clean")
        if Property.AUTHENTICATION_METHOD in packet.properties:
            return self._refused(Reason.BAD_AUTHENTICATION_METHOD, "user name and password are taken, nothing else")
        token = (packet.password or b"").decode(errors="replace")
        if not token and self._welcome is None:
            token = packet.username or ""
        if token:
            return [commands.Auth(token=token, id=SIGN_IN)]
        if self._welcome is None:
            return self._refused(Reason.NOT_AUTHORIZED, "sign in: the password is a token")
        return [self._accepted()]

    def _refused(self, reason: Reason, why: str) -> list[Spoken]:
        code = NOT_AUTHENTICATED.code if reason is Reason.NOT_AUTHORIZED else PROTOCOL_ERROR.code
        return [write.connack(self._version, reason, {Property.REASON_STRING: why}), CloseConnection(code, why)]

    def _accepted(self) -> bytes:
        connect = self._connect
        assert connect is not None
        self._connected = True
        return write.accepted(connect, limit=self._limit, receive_maximum=RECEIVE_MAXIMUM, new_id=self._new_id)

    def _signed_in(self, packet: Packet) -> list[Spoken]:
        if isinstance(packet, Puback):
            if self.window is not None:
                self.window.acknowledge(packet.packet_id)
            return []
        if isinstance(packet, Publish):
            return self._publish(packet)
        if isinstance(packet, Subscribe):
            return self._subscribe(packet)
        if isinstance(packet, Unsubscribe):
            return [self._subscriptions.unsubscribe(packet)]
        if isinstance(packet, Pingreq):
            return [write.PONG]
        if isinstance(packet, Disconnect):
            return [CloseConnection(1000, "disconnected")]
        raise Violation(Reason.PROTOCOL_ERROR, "a second CONNECT")

    def _publish(self, packet: Publish) -> list[Spoken]:
        id = None
        if packet.qos:
            id = f"p{packet.packet_id}"
            self._publishing.add(packet.packet_id)
            if len(self._publishing) > RECEIVE_MAXIMUM and self._version == V5:
                raise Violation(Reason.RECEIVE_MAXIMUM_EXCEEDED, f"more than {RECEIVE_MAXIMUM} messages unanswered")
        return [commands.Publish(packet.topic, packet.payload, id, packet.qos, packet.retain)]

    def _subscribe(self, packet: Subscribe) -> list[Spoken]:
        said, codes = self._subscriptions.subscribe(packet)
        if self.window is None and any(row.qos for row in self._subscriptions.rows.values()):
            self.window = self._new_window()
        return [*said] if said else [self._suback(packet.packet_id, codes)]

    def _suback(self, packet_id: int, codes: list[int]) -> bytes:
        if self._version == V3:
            codes = [min(code, write.V3_FAILURE) for code in codes]
        return write.suback(self._version, packet_id, codes)

    def _new_window(self) -> Window:
        assert self._connect is not None
        count = self._connect.properties.get(Property.RECEIVE_MAXIMUM, 0xFFFF)
        assert isinstance(count, int)
        return Window(self._stamp, count=min(count, IN_FLIGHT))

    def _stamp(self, frame: bytes) -> tuple[bytes, tuple[Hashable, ...]]:
        assert self.window is not None
        packet_id = self._packet_id % 0xFFFF + 1
        while packet_id in self.window.unacknowledged:
            packet_id = packet_id % 0xFFFF + 1
        stamped = write.stamp(frame, packet_id)
        if stamped is None:
            return frame, ()
        self._packet_id = packet_id
        return stamped, (packet_id,)

    # Events to bytes.

    def event(self, event: events.Event) -> bytes:
        if isinstance(event, events.Welcome):
            self._welcome = event
        elif isinstance(event, events.Ok):
            return self._ok(event)
        elif isinstance(event, events.Error):
            return self._error(event)
        elif self._connected and not isinstance(event, events.Heartbeat | events.Pong):
            if isinstance(event, events.Replayed):
                # The client knows its SUBSCRIBE by the packet identifier.
                event = msgspec.structs.replace(event, id=identifier(str(event.id)))
            told = self._told(event)
            if isinstance(event, events.Closing):
                told += write.disconnect(self._version, Reason.SERVER_SHUTTING_DOWN, event.reason)
            return told
        return b""

    def _told(self, event: events.Event) -> bytes:
        """What has no packet of its own, for whoever listens."""
        return write.told(self._version, EVENTS, _json(event)) if self._subscriptions.listening else b""

    def _ok(self, event: events.Ok) -> bytes:
        id = event.id
        if not isinstance(id, str):
            return b""
        if id == SIGN_IN:
            return self._accepted()
        packet_id = identifier(id)
        if id.startswith("p"):
            self._publishing.discard(packet_id)
            return write.puback(self._version, packet_id, Reason.SUCCESS)
        if id.startswith("u"):
            return write.unsuback(self._version, packet_id, self._subscriptions.unsubscribed(packet_id))
        assert isinstance(event.subscribed, list)
        codes = self._subscriptions.granted(id, [bool(told["granted"]) for told in event.subscribed])
        return b"" if codes is None else self._suback(packet_id, codes)

    def _error(self, event: events.Error) -> bytes:
        reason, id = _REASONS.get(event.code, Reason.UNSPECIFIED), event.id
        if not isinstance(id, str):
            return self._told(event)  # a subscription that the role does not allow any more, a QoS 0 message refused
        if id == SIGN_IN:
            if event.code == "unsupported" and self._welcome is not None:
                return self._accepted()  # no token is asked for here: everybody may come in
            self.ended = CloseConnection(NOT_AUTHENTICATED.code, event.message)
            return write.connack(self._version, reason, {Property.REASON_STRING: event.message})
        packet_id = identifier(id)
        if id.startswith("s"):
            codes = self._subscriptions.refused(id, reason)
            return b"" if codes is None else self._suback(packet_id, codes)
        self._publishing.discard(packet_id)
        if self._version == V5:
            if id.startswith("p"):
                # 3.4.2.1: a PUBACK knows no filters.
                wrong = reason is Reason.FILTER_INVALID
                return write.puback(V5, packet_id, Reason.TOPIC_NAME_INVALID if wrong else reason)
            return write.unsuback(V5, packet_id, self._subscriptions.unsubscribed(packet_id, reason))
        # MQTT 3.1.1, 3.3.5: it has no other word than the end for what is not done.
        self.ended = CloseConnection(_CODES.get(event.code, 1008), event.message)
        return b""

    def farewell(self, end: CloseConnection) -> bytes:
        reason = _ENDS.get(end.code)
        return write.disconnect(self._version, reason, end.reason) if reason is not None and self._connected else b""

    def variant(self, table: tuple[Subscription, ...]) -> write.MqttVariant:
        connect = self._connect
        own = self._subscriptions.rows
        rows = tuple(own[s.filter] for s in table if s.filter in own)
        maximum = connect.properties.get(Property.MAXIMUM_PACKET_SIZE, 0) if connect is not None else 0
        assert isinstance(maximum, int)
        return write.MqttVariant(self._version, () if all(row.plain for row in rows) else rows, maximum)

    def beat(self, now: float) -> bytes:
        if self._heard or self._heard_at is None:
            self._heard, self._heard_at = False, now
        silent = now - self._heard_at
        if not self._connected:
            if silent > CONNECT_DEADLINE:
                raise CloseConnection(PROTOCOL_ERROR.code, "no CONNECT in time")
        elif self._connect is not None and 0 < 1.5 * self._connect.keep_alive < silent:
            # 3.1.2.10: one and a half times the keep-alive.
            raise CloseConnection(NO_PONG.code, "nothing heard for one and a half times the keep-alive")
        return b""
