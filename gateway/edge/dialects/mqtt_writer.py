"""MQTT control packets that a server sends, as WebSocket frames (MQTT 3.1.1 and 5.0, clauses of 5.0). Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.edge.dialects import framing
from gateway.edge.dialects.mqtt_packets import Connect
from gateway.edge.dialects.mqtt_reader import V5, Property, Reason, Value
from gateway.hub.message import Message
from gateway.hub.subscription import View
from gateway.topics import matches

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xB0, 0xD0, 0xE0
_QOS_1, _RETAIN = 0x02, 0x01
_SIZES = {Property.SESSION_EXPIRY: 4, Property.MAXIMUM_PACKET_SIZE: 4, Property.RECEIVE_MAXIMUM: 2}
_SHORT = 1024
V3_FAILURE = 0x80
_V3_CODES = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.CLIENT_ID_NOT_VALID: 2,
    Reason.SERVER_UNAVAILABLE: 3,
    Reason.BAD_USER_NAME_OR_PASSWORD: 4,
    Reason.NOT_AUTHORIZED: 5,
}


def variable(value: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """A string behind its length (1.5.4); cut to what fits, between two characters."""
    data = value.encode()
    if len(data) > 0xFFFF:
        data = data[:0xFFFF].decode(errors="ignore").encode()
    return len(data).to_bytes(2, "big") + data


def properties(values: Mapping[Property, Value]) -> bytes:
    """Properties behind their length (2.2.2)."""
    out = b""
    for identifier, value in values.items():
        if isinstance(value, str):
            out += bytes((identifier,)) + text(value)
        elif isinstance(value, int):
            out += bytes((identifier,)) + value.to_bytes(_SIZES.get(identifier, 1), "big")
    return variable(len(out)) + out


def packet(first: int, body: bytes) -> bytes:
    """A control packet (2.1) in a frame of its own."""
    return framing.binary(bytes((first,)) + variable(len(body)) + body)


def connack(version: int, reason: Reason, values: Mapping[Property, Value]) -> bytes:
    """CONNACK (3.2); `session present` is 0, since no session outlives its connection."""
    if version == V5:
        return packet(CONNACK, bytes((0, reason)) + properties(values))
    return packet(CONNACK, bytes((0, _V3_CODES.get(reason, _V3_CODES[Reason.SERVER_UNAVAILABLE]))))


def accepted(connect: Connect, *, limit: int, receive_maximum: int, new_id: Callable[[], str]) -> bytes:
    """CONNACK of a client that may come in, with what this server can and cannot do (3.2.2.3)."""
    values: dict[Property, Value] = {
        Property.RECEIVE_MAXIMUM: receive_maximum,
        Property.MAXIMUM_QOS: 1,
        Property.MAXIMUM_PACKET_SIZE: limit,
        Property.SHARED_SUBSCRIPTION_AVAILABLE: 0,
    }
    if connect.properties.get(Property.SESSION_EXPIRY):
        values[Property.SESSION_EXPIRY] = 0
    if not connect.client_id:
        values[Property.ASSIGNED_CLIENT_ID] = new_id()
    if connect.will:
        values[Property.REASON_STRING] = "the will is not kept: this gateway is no broker"
    return connack(connect.version, Reason.SUCCESS, values)


def puback(version: int, packet_id: int, code: int) -> bytes:
    """PUBACK (3.4); before version 5 it has no code."""
    return packet(PUBACK, packet_id.to_bytes(2, "big") + (bytes((code,)) if code and version == V5 else b""))


def suback(version: int, packet_id: int, codes: list[int]) -> bytes:
    """SUBACK (3.9)."""
    return packet(SUBACK, packet_id.to_bytes(2, "big") + (b"\0" if version == V5 else b"") + bytes(codes))


def unsuback(version: int, packet_id: int, codes: list[int]) -> bytes:
    """UNSUBACK (3.11); before version 5 it has no codes."""
    return packet(UNSUBACK, packet_id.to_bytes(2, "big") + (b"\0" + bytes(codes) if version == V5 else b""))


def disconnect(version: int, code: Reason, why: str) -> bytes:
    """DISCONNECT (3.14); before version 5 a server has none."""
    if version != V5:
        return b""
    return packet(DISCONNECT, bytes((code,)) + properties({Property.REASON_STRING: why}))


def told(version: int, topic: str, payload: bytes) -> bytes:
    """A PUBLISH of the gateway's own, at QoS 0."""
    return packet(PUBLISH, text(topic) + (b"\0" if version == V5 else b"") + payload)


PONG = packet(PINGRESP, b"")


class Row(NamedTuple):
    """What a subscription asked for, as far as it shows in the bytes of a message."""

    filter: str
    qos: int
    identifier: int
    retain_as_published: bool

    @property
    def plain(self) -> bool:
        """Whether it shows in nothing."""
        return not (self.qos or self.identifier or self.retain_as_published)


def _heads(first: int) -> list[bytes]:
    """Frame header, first byte and remaining length of short packets, by remaining length."""
    heads = []
    for size in range(_SHORT):
        fixed = bytes((first,)) + variable(size)
        heads.append(framing.binary(fixed + bytes(size))[: -size or None])
    return heads


_HEADS = {first: _heads(first) for first in (PUBLISH, PUBLISH | _QOS_1)}


class MqttVariant(NamedTuple):
    """How messages look to a client: version, its subscriptions if any is not plain, the largest packet it takes."""

    version: int
    rows: tuple[Row, ...] = ()
    maximum: int = 0

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        mine = [row for row in self.rows if matches(row.filter, topic)]
        as_published = any(row.retain_as_published for row in mine)
        qos = max((row.qos for row in mine), default=0)
        first = PUBLISH | _QOS_1 * qos
        # The packet identifier is each client's own: `stamp` puts it in.
        head = text(topic) + (b"\0\0" if qos else b"")
        if self.version == V5:
            marks = b"".join(b"\x0b" + variable(row.identifier) for row in mine if row.identifier)
            head += variable(len(marks)) + marks
        base, short, heads, maximum = len(head), _SHORT, _HEADS[first], self.maximum

        def slow(message: Message) -> bytes:
            # MQTT has no way to say that a payload was too large: an empty one would be a lie.
            if message.size:
                return framing.NOTHING
            retain = _RETAIN if view.replay or (as_published and message.retained) else 0
            body = head + message.payload
            fixed = bytes((first | retain,)) + variable(len(body))
            # 3.1.2.11.4: a packet that the client cannot take is not sent.
            if maximum and len(fixed) + len(body) > maximum:
                return framing.NOTHING
            return framing.binary(fixed + body)

        def encode(message: Message) -> bytes:
            payload = message.payload
            size = base + len(payload)
            if size >= short or message.retained or message.size:
                return slow(message)
            return heads[size] + head + payload

        return slow if view.replay or maximum else encode


def stamp(frame: bytes, packet_id: int) -> bytes | None:
    """The frame with its packet identifier; None where it holds no PUBLISH of QoS 1."""
    at = 2 if frame[1] < 126 else 4 if frame[1] == 126 else 10
    if frame[0] != 0x80 | framing.BINARY or frame[at] & 0xF6 != PUBLISH | _QOS_1:
        return None
    at += 1
    while frame[at] & 0x80:
        at += 1
    at += 3 + int.from_bytes(frame[at + 1 : at + 3], "big")
    return frame[:at] + packet_id.to_bytes(2, "big") + frame[at + 2 :]
