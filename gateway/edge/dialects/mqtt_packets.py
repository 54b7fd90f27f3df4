"""MQTT control packets that clients send, read (MQTT 3.1.1 and 5.0). Pure.

Clauses are those of MQTT 5.0. The version is that of the connection: V3 or V5.
"""

from collections.abc import Iterator

import msgspec

from gateway.edge.dialects.mqtt_reader import (
    ACKNOWLEDGE_PROPERTIES,
    CONNECT_PROPERTIES,
    DISCONNECT_PROPERTIES,
    PUBLISH_PROPERTIES,
    SUBSCRIBE_PROPERTIES,
    V3,
    V5,
    WILL_PROPERTIES,
    Properties,
    Property,
    Reader,
    Reason,
    Violation,
)

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xA0, 0xC0, 0xE0
_FLAGS = {SUBSCRIBE: 2, UNSUBSCRIBE: 2}  # 2.1.3: reserved, but these two have a bit set


class Connect(msgspec.Struct, frozen=True):
    """CONNECT (3.1). `keep_alive` in seconds, 0 for none."""

    version: int
    client_id: str
    clean: bool
    keep_alive: int
    will: bool
    username: str | None
    password: bytes | None
    properties: Properties


class Publish(msgspec.Struct, frozen=True):
    """PUBLISH (3.3) of a client."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int


class Puback(msgspec.Struct, frozen=True):
    """PUBACK (3.4)."""

    packet_id: int


class Wish(msgspec.Struct, frozen=True):
    """One filter of a SUBSCRIBE with its options (3.8.3.1)."""

    filter: str
    qos: int
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """SUBSCRIBE (3.8); `identifier` 0 for none."""

    packet_id: int
    wishes: list[Wish]
    identifier: int


class Unsubscribe(msgspec.Struct, frozen=True):
    """UNSUBSCRIBE (3.10)."""

    packet_id: int
    filters: list[str]


class Pingreq(msgspec.Struct, frozen=True):
    """PINGREQ (3.12)."""


class Disconnect(msgspec.Struct, frozen=True):
    """DISCONNECT (3.14)."""

    reason: int


Packet = Connect | Publish | Puback | Subscribe | Unsubscribe | Pingreq | Disconnect


def split(buffer: bytearray, limit: int) -> Iterator[tuple[int, bytes]]:
    """Take whole packets off the front of `buffer`: first byte and body. Raises Violation above `limit` bytes."""
    while len(buffer) >= 2:
        size = shift = 0
        end = 1
        while True:
            if end == len(buffer):
                return
            byte = buffer[end]
            size |= (byte & 0x7F) << shift
            shift += 7
            end += 1
            if byte < 0x80:
                break
            if shift == 28:
                raise Violation(Reason.MALFORMED, "a remaining length has at most four bytes")
        if end + size > limit:
            raise Violation(Reason.PACKET_TOO_LARGE, f"a packet of {end + size} bytes: at most {limit} are taken")
        if len(buffer) < end + size:
            return
        first, body = buffer[0], bytes(buffer[end : end + size])
        del buffer[: end + size]
        yield first, body


def read(first: int, body: bytes, version: int) -> Packet:
    """The packet in `body`. Raises Violation."""
    kind = first & 0xF0
    if kind != PUBLISH and first & 0x0F != _FLAGS.get(kind, 0):
        raise Violation(Reason.MALFORMED, "reserved bits of a fixed header are set")
    reader = Reader(body)
    if kind == PUBLISH:
        packet: Packet = _publish(first, reader, version)
    elif kind == PUBACK:
        packet = _puback(reader, version)
    elif kind == PINGREQ:
        packet = Pingreq()
    elif kind == SUBSCRIBE:
        packet = _subscribe(reader, version)
    elif kind == UNSUBSCRIBE:
        packet = _unsubscribe(reader, version)
    elif kind == DISCONNECT:
        packet = _disconnect(reader, version)
    elif kind == CONNECT:
        packet = _connect(reader)
    else:
        raise Violation(Reason.PROTOCOL_ERROR, f"a client does not send packets of type {kind >> 4} here")
    if reader.more:
        raise Violation(Reason.MALFORMED, "a packet goes on behind its last field")
    return packet


def _connect(reader: Reader) -> Connect:
    name, version = reader.binary(), reader.integer(1)
    if (name, version) not in ((b"MQTT", V3), (b"MQTT", V5)):
        raise Violation(Reason.UNSUPPORTED_VERSION, "MQTT 3.1.1 and 5 are spoken here")
    flags, keep_alive = reader.integer(1), reader.integer(2)
    will, username, password = flags & 0x04, flags & 0x80, flags & 0x40
    if flags & 0x01 or flags & 0x18 == 0x18 or (not will and flags & 0x38):
        raise Violation(Reason.MALFORMED, "the connect flags contradict each other")
    if version == V3 and password and not username:
        raise Violation(Reason.MALFORMED, "a password without a user name (MQTT 3.1.1, 3.1.2.9)")
    properties = reader.properties(CONNECT_PROPERTIES) if version == V5 else {}
    client_id = reader.text()
    if will:
        if version == V5:
            reader.properties(WILL_PROPERTIES)
        reader.text()
        reader.binary()
    return Connect(
        version=version,
        client_id=client_id,
        clean=bool(flags & 0x02),
        keep_alive=keep_alive,
        will=bool(will),
        username=reader.text() if username else None,
        password=reader.binary() if password else None,
        properties=properties,
    )


def _publish(first: int, reader: Reader, version: int) -> Publish:
    qos = first >> 1 & 3
    if qos == 3 or (qos == 0 and first & 0x08):
        raise Violation(Reason.MALFORMED, "a PUBLISH whose QoS is 3, or 0 with DUP set")
    topic = reader.text()
    packet_id = _packet_id(reader) if qos else 0
    properties = reader.properties(PUBLISH_PROPERTIES) if version == V5 else {}
    if Property.TOPIC_ALIAS in properties:
        raise Violation(Reason.TOPIC_ALIAS_INVALID, "topic aliases are not taken: the maximum is 0")
    if not topic or "+" in topic or "#" in topic:
        raise Violation(Reason.TOPIC_NAME_INVALID, "a PUBLISH names a topic without wildcards")
    if qos == 2:
        raise Violation(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not taken: 0 and 1 are")
    return Publish(topic, reader.rest(), qos, bool(first & 1), packet_id)


def _puback(reader: Reader, version: int) -> Puback:
    packet_id = _packet_id(reader)
    if version == V5 and reader.more:
        reader.integer(1)
        if reader.more:
            reader.properties(ACKNOWLEDGE_PROPERTIES)
    return Puback(packet_id)


def _subscribe(reader: Reader, version: int) -> Subscribe:
    packet_id = _packet_id(reader)
    properties = reader.properties(SUBSCRIBE_PROPERTIES) if version == V5 else {}
    wishes = []
    while reader.more:
        filter, options = reader.text(), reader.integer(1)
        handling = options >> 4 & 3
        if options & 3 == 3 or handling == 3 or options & (0xC0 if version == V5 else 0xFC):
            raise Violation(Reason.MALFORMED, "subscription options that the standard does not know")
        if options & 4 and filter.startswith("$share/"):
            raise Violation(Reason.PROTOCOL_ERROR, "no-local does not go with a shared subscription")
        wishes.append(Wish(filter, options & 3, bool(options & 8), handling))
    if not wishes:
        raise Violation(Reason.PROTOCOL_ERROR, "a SUBSCRIBE without a filter")
    identifier = properties.get(Property.SUBSCRIPTION_IDENTIFIER, 0)
    assert isinstance(identifier, int)
    return Subscribe(packet_id, wishes, identifier)


def _unsubscribe(reader: Reader, version: int) -> Unsubscribe:
    packet_id = _packet_id(reader)
    if version == V5:
        reader.properties(frozenset())
    filters = []
    while reader.more:
        filters.append(reader.text())
    if not filters:
        raise Violation(Reason.PROTOCOL_ERROR, "an UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id, filters)


def _disconnect(reader: Reader, version: int) -> Disconnect:
    if version == V3 or not reader.more:
        return Disconnect(0)
    reason = reader.integer(1)
    if reader.more:
        reader.properties(DISCONNECT_PROPERTIES)
    return Disconnect(reason)


def _packet_id(reader: Reader) -> int:
    packet_id = reader.integer(2)
    if not packet_id:
        raise Violation(Reason.PROTOCOL_ERROR, "a packet identifier is not 0")
    return packet_id
