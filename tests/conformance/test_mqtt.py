"""MQTT 3.1.1 and 5.0, clause by clause: bytes in, bytes and effects out. Clauses are those of MQTT 5.0."""

from typing import NamedTuple

import pytest
from support.conversation import House

from gateway.edge.credentials import Identity
from gateway.edge.roles import Role
from gateway.errors import CommandError

PLAIN, V5 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a", b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a"
ACCEPTED = b"\x20\x02\x00\x00"
CAPABILITIES = b"\x21\x00\x64\x24\x01\x27\x00\x00\x10\x00\x2a\x00"  # receive maximum, QoS, packet size, shared
ACCEPTED_V5 = b"\x20\x0f\x00\x00\x0c" + CAPABILITIES


class Row(NamedTuple):
    """What a client sends after the packets `before`, the packets that it gets, and the close code if there is one."""

    clause: str
    name: str
    sent: bytes
    got: list[bytes]
    closed: int | None = None
    before: bytes = b""
    anonymous: bool = True


def disconnect(code: int, why: str) -> bytes:
    body = bytes((code, len(why) + 3)) + b"\x1f" + len(why).to_bytes(2, "big") + why.encode()
    return b"\xe0" + bytes((len(body),)) + body


def connect(flags: int, payload: bytes, *, version: int = 4, keep_alive: int = 60) -> bytes:
    body = b"\x00\x04MQTT" + bytes((version, flags)) + keep_alive.to_bytes(2, "big")
    body += b"\x00" * (version == 5) + payload
    return b"\x10" + bytes((len(body),)) + body


def connect_v5(properties: bytes, *, name: bytes = b"a") -> bytes:
    body = (
        b"\x00\x04MQTT\x05\x02\x00\x3c" + bytes((len(properties),)) + properties + b"\x00" + bytes((len(name),)) + name
    )
    return b"\x10" + bytes((len(body),)) + body


PUBLISH_1 = b"\x32\x0f\x00\x0acommands/a\x00\x07x"

ROWS = [
    Row("3.1", "CONNECT of 3.1.1 is accepted without a session", PLAIN, [ACCEPTED]),
    Row("3.2.2.3", "CONNECT of 5 is told what this server can do", V5, [ACCEPTED_V5]),
    Row(
        "3.1.2.1",
        "another protocol's name",
        b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x3c\x00\x01a",
        [b"\x20\x02\x00\x01"],
        1002,
    ),
    Row("3.1.2.2", "MQTT 3.1", b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a", [b"\x20\x02\x00\x01"], 1002),
    Row("3.1.2.2", "a version to come", b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01a", [b"\x20\x02\x00\x01"], 1002),
    Row("3.1.2.3", "the reserved connect flag", connect(0x03, b"\x00\x01a"), [], 1002),
    Row("3.1.2.6", "a will QoS without a will", connect(0x0A, b"\x00\x01a"), [], 1002),
    Row("3.1.2.6", "a will QoS of 3", connect(0x1E, b"\x00\x01a\x00\x01w\x00\x00"), [], 1002),
    Row("3.1.2.9 (3.1.1)", "a password without a user name", connect(0x42, b"\x00\x01a\x00\x01p"), [], 1002),
    Row("3.1.2.5", "a will is taken and not kept", connect(0x06, b"\x00\x01a\x00\x01w\x00\x00"), [ACCEPTED]),
    Row("3.1.3.1 (3.1.1)", "no name and not clean", connect(0x00, b"\x00\x00"), [b"\x20\x02\x00\x02"], 1002),
    Row(
        "3.1.3.1",
        "no name: one is given",
        connect_v5(b"", name=b""),
        [b"\x20\x15\x00\x00\x12" + CAPABILITIES + b"\x12\x00\x03id1"],
    ),
    Row(
        "3.1.2.11.2",
        "a session that would expire is none",
        connect_v5(b"\x11\x00\x00\x0e\x10"),
        [b"\x20\x14\x00\x00\x11" + CAPABILITIES + b"\x11\x00\x00\x00\x00"],
    ),
    Row("3.1.2.11.3", "a receive maximum of 0", connect_v5(b"\x21\x00\x00"), [], 1002),
    Row("3.1.2.11", "a property twice", connect_v5(b"\x21\x00\x01\x21\x00\x01"), [], 1002),
    Row("2.2.2.2", "a property that belongs elsewhere", connect_v5(b"\x23\x00\x01"), [], 1002),
    Row("3.1", "CONNECT twice", PLAIN, [], 1002, before=PLAIN),
    Row("3.1", "CONNECT twice in 5", V5, [disconnect(0x82, "a second CONNECT")], 1002, before=V5),
    Row("3.1", "the first packet is no CONNECT", b"\xc0\x00", [], 1002),
    Row("3.1.4", "packets may follow CONNECT at once", PLAIN + b"\xc0\x00", [ACCEPTED, b"\xd0\x00"]),
    Row(
        "3.1.3.6",
        "the password is a token",
        connect(0xC2, b"\x00\x01a\x00\x01u\x00\x05right"),
        [ACCEPTED],
        anonymous=False,
    ),
    Row(
        "3.1.3.6",
        "a wrong token",
        connect(0xC2, b"\x00\x01a\x00\x01u\x00\x05wrong"),
        [b"\x20\x02\x00\x04"],
        4401,
        anonymous=False,
    ),
    Row(
        "3.1.3.6",
        "a wrong token, though one may come in without",
        connect(0xC2, b"\x00\x01a\x00\x01u\x00\x05wrong"),
        [b"\x20\x02\x00\x04"],
        4401,
    ),
    Row(
        "3.1.3.5",
        "a user name alone is the token",
        connect(0x82, b"\x00\x01a\x00\x05right"),
        [ACCEPTED],
        anonymous=False,
    ),
    Row("3.2.2.2", "no credential where one is needed", PLAIN, [b"\x20\x02\x00\x05"], 4401, anonymous=False),
    Row("2.1.3", "reserved bits of a fixed header", b"\xc1\x00", [], 1002, before=PLAIN),
    Row("1.5.5", "a remaining length of five bytes", b"\x82\xff\xff\xff\xff\x7f", [], 1002, before=PLAIN),
    Row("1.5.4", "a topic that is not UTF-8", b"\x30\x04\x00\x02\xff\xfe", [], 1002, before=PLAIN),
    Row("1.5.4", "a topic with NUL", b"\x30\x04\x00\x02a\x00", [], 1002, before=PLAIN),
    Row(
        "3.1.2.11.4",
        "a packet above the maximum",
        b"\x30\xff\x7f",
        [disconnect(0x95, "a packet of 16386 bytes: at most 4096 are taken")],
        1009,
        before=V5,
    ),
    Row("3.8", "SUBSCRIBE, QoS 0", b"\x82\x06\x00\x01\x00\x01t\x00", [b"\x90\x03\x00\x01\x00"], before=PLAIN),
    Row("3.8.4", "QoS 2 is granted as 1", b"\x82\x06\x00\x01\x00\x01t\x02", [b"\x90\x03\x00\x01\x01"], before=PLAIN),
    Row(
        "3.8.4",
        "a code per filter",
        b"\x82\x11\x00\x01\x00\x01t\x01\x00\x08secret/a\x00",
        [b"\x90\x04\x00\x01\x01\x80"],
        before=PLAIN,
    ),
    Row(
        "3.9.3", "not authorized", b"\x82\x0e\x00\x01\x00\x00\x08secret/a\x00", [b"\x90\x04\x00\x01\x00\x87"], before=V5
    ),
    Row(
        "4.7.1.2",
        "a filter that is none",
        b"\x82\x09\x00\x01\x00\x00\x03a#b\x00",
        [b"\x90\x04\x00\x01\x00\x8f"],
        before=V5,
    ),
    Row(
        "4.8.2",
        "a shared subscription",
        b"\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x00",
        [b"\x90\x04\x00\x01\x00\x9e"],
        before=V5,
    ),
    Row("3.8.3", "SUBSCRIBE without a filter", b"\x82\x02\x00\x01", [], 1002, before=PLAIN),
    Row("3.8.3.1", "QoS 3", b"\x82\x06\x00\x01\x00\x01t\x03", [], 1002, before=PLAIN),
    Row("3.8.3.1", "options of 5 in 3.1.1", b"\x82\x06\x00\x01\x00\x01t\x10", [], 1002, before=PLAIN),
    Row(
        "3.8.3.1",
        "retain handling 3",
        b"\x82\x07\x00\x01\x00\x00\x01t\x30",
        [disconnect(0x81, "subscription options that the standard does not know")],
        1002,
        before=V5,
    ),
    Row("2.2.1", "packet identifier 0", b"\x82\x06\x00\x00\x00\x01t\x00", [], 1002, before=PLAIN),
    Row(
        "3.8.2.1.2",
        "subscription identifier 0",
        b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01t\x00",
        [disconnect(0x82, "property 11 is not 0")],
        1002,
        before=V5,
    ),
    Row(
        "3.10",
        "UNSUBSCRIBE of what is there",
        b"\xa2\x05\x00\x02\x00\x01t",
        [b"\xb0\x02\x00\x02"],
        before=PLAIN + b"\x82\x06\x00\x01\x00\x01t\x00",
    ),
    Row(
        "3.11.3",
        "a code per filter of UNSUBSCRIBE",
        b"\xa2\x09\x00\x02\x00\x00\x01t\x00\x01u",
        [b"\xb0\x05\x00\x02\x00\x00\x11"],
        before=V5 + b"\x82\x07\x00\x01\x00\x00\x01t\x00",
    ),
    Row("3.10.3", "UNSUBSCRIBE without a filter", b"\xa2\x02\x00\x02", [], 1002, before=PLAIN),
    Row(
        "3.3.4", "PUBLISH QoS 1 is acknowledged once the broker has it", PUBLISH_1, [b"\x40\x02\x00\x07"], before=PLAIN
    ),
    Row(
        "3.4.2.1",
        "PUBLISH that the role forbids, in 5",
        b"\x32\x07\x00\x01t\x00\x07\x00x",
        [b"\x40\x03\x00\x07\x87"],
        before=V5,
    ),
    Row(
        "3.3.5 (3.1.1)",
        "PUBLISH that the role forbids, in 3.1.1",
        b"\x32\x06\x00\x01t\x00\x07x",
        [],
        4403,
        before=PLAIN,
    ),
    Row("3.3.1.2", "PUBLISH QoS 0 that the role forbids is dropped", b"\x30\x04\x00\x01tx", [], before=PLAIN),
    Row(
        "3.3.1.2",
        "PUBLISH QoS 2",
        b"\x34\x07\x00\x01t\x00\x07\x00x",
        [disconnect(0x9B, "QoS 2 is not taken: 0 and 1 are")],
        1002,
        before=V5,
    ),
    Row("3.3.1.2", "PUBLISH QoS 3", b"\x36\x06\x00\x01t\x00\x07x", [], 1002, before=PLAIN),
    Row("3.3.1.1", "DUP at QoS 0", b"\x38\x04\x00\x01tx", [], 1002, before=PLAIN),
    Row("3.3.2.1", "a wildcard in a topic name", b"\x30\x05\x00\x02t#x", [], 1002, before=PLAIN),
    Row(
        "3.3.2.3.4",
        "a topic alias",
        b"\x30\x09\x00\x01t\x03\x23\x00\x01xx",
        [disconnect(0x94, "topic aliases are not taken: the maximum is 0")],
        1002,
        before=V5,
    ),
    Row("3.12", "PINGREQ", b"\xc0\x00", [b"\xd0\x00"], before=PLAIN),
    Row("3.14", "DISCONNECT", b"\xe0\x00", [], 1000, before=PLAIN),
    Row("3.14.2.1", "DISCONNECT with a reason", b"\xe0\x02\x04\x00", [], 1000, before=V5),
    Row(
        "3.15",
        "AUTH",
        b"\xf0\x00",
        [disconnect(0x82, "a client does not send packets of type 15 here")],
        1002,
        before=V5,
    ),
    Row(
        "3.1.2.11.9",
        "an authentication method",
        connect_v5(b"\x15\x00\x01x"),
        [b"\x20\x34\x00\x8c\x31\x1f\x00\x2euser name and password are taken, nothing else"],
        1002,
    ),
    Row("4.13", "a packet that ends too early", b"\x82\x03\x00\x01\x00", [], 1002, before=PLAIN),
    Row("4.13", "a packet that goes on too long", b"\xc0\x01\x00", [], 1002, before=PLAIN),
]


def packets(frames: list[bytes]) -> list[bytes]:
    return [frame for frame in frames if frame]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.clause} {row.name}")
def test_clause(row: Row) -> None:
    client = House().client("mqtt", anonymous=row.anonymous)
    if row.before:
        client.say(row.before)
    assert packets(client.say(row.sent)) == row.got
    assert client.line.closed == row.closed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.clause} {row.name}")
def test_clause_byte_by_byte(row: Row) -> None:
    """6.0.0: packets need not be aligned with frames."""
    client = House().client("mqtt", anonymous=row.anonymous)
    if row.before:
        client.say(row.before)
    got = []
    for at in range(len(row.sent)):
        if client.line.closed is None:
            got += packets(client.say(row.sent[at : at + 1]))
    assert got == row.got
    assert client.line.closed == row.closed


def test_text_frames_are_refused() -> None:
    client = House().client("mqtt")
    client.say("hello")
    assert client.line.closed == 1003


SUBSCRIBED = b"\x82\x06\x00\x01\x00\x01t\x00"
SUBSCRIBED_1 = b"\x82\x06\x00\x01\x00\x01t\x01"


class Delivery(NamedTuple):
    """What a client that sent `before` gets of a message of topic `t`."""

    clause: str
    name: str
    before: bytes
    payload: bytes
    got: list[bytes]
    facts: dict[str, object] | None = None


DELIVERIES = [
    Delivery("3.3", "QoS 0", PLAIN + SUBSCRIBED, b"21", [b"\x30\x05\x00\x01t21"]),
    Delivery("3.3.2.2", "QoS 1 has a packet identifier", PLAIN + SUBSCRIBED_1, b"21", [b"\x32\x07\x00\x01t\x00\x0121"]),
    Delivery(
        "3.3.2.3", "5 has properties", V5 + b"\x82\x07\x00\x01\x00\x00\x01t\x00", b"21", [b"\x30\x06\x00\x01t\x0021"]
    ),
    Delivery(
        "3.3.2.3.8",
        "an identifier",
        V5 + b"\x82\x09\x00\x01\x02\x0b\x07\x00\x01t\x00",
        b"21",
        [b"\x30\x08\x00\x01t\x02\x0b\x0721"],
    ),
    Delivery(
        "3.3.1.3",
        "live messages are not retained",
        PLAIN + SUBSCRIBED,
        b"1",
        [b"\x30\x04\x00\x01t1"],
        {"retained": True},
    ),
    Delivery(
        "3.8.3.1",
        "retain as published",
        V5 + b"\x82\x07\x00\x01\x00\x00\x01t\x08",
        b"1",
        [b"\x31\x05\x00\x01t\x001"],
        {"retained": True},
    ),
    Delivery("3.3", "an empty payload", PLAIN + SUBSCRIBED, b"", [b"\x30\x03\x00\x01t"]),
    Delivery("3.3", "300 bytes", PLAIN + SUBSCRIBED, b"x" * 300, [b"\x30\xaf\x02\x00\x01t" + b"x" * 300]),
    Delivery(
        "3.1.2.11.4",
        "a packet that the client cannot take",
        connect_v5(b"\x27\x00\x00\x00\x10") + b"\x82\x07\x00\x01\x00\x00\x01t\x00",
        b"x" * 11,
        [],
    ),
    Delivery(
        "3.1.2.11.4",
        "a packet that it just can take",
        connect_v5(b"\x27\x00\x00\x00\x10") + b"\x82\x07\x00\x01\x00\x00\x01t\x00",
        b"x" * 10,
        [b"\x30\x0e\x00\x01t\x00" + b"x" * 10],
    ),
    Delivery("–", "a payload above the gateway's limit has no form", PLAIN + SUBSCRIBED, b"", [], {"size": 999_999}),
]


@pytest.mark.parametrize("row", DELIVERIES, ids=lambda row: f"{row.clause} {row.name}")
def test_delivery(row: Delivery) -> None:
    house = House()
    client = house.client("mqtt")
    client.say(row.before)
    house.publish("t", row.payload, **(row.facts or {}))
    assert packets(client.heard()) == row.got


@pytest.mark.parametrize(
    ("options", "again"),
    [(0x00, [b"\x31\x05\x00\x01t\x001"]), (0x10, []), (0x20, [])],
    ids=["always", "if new", "never"],
)
def test_retain_handling_of_a_subscription_that_is_there(options: int, again: list[bytes]) -> None:
    house = House()
    house.publish("t")
    client = house.client("mqtt")
    client.say(V5)
    first = packets(client.say(b"\x82\x07\x00\x01\x00\x00\x01t" + bytes((options,))))
    assert first[1:] == ([b"\x31\x05\x00\x01t\x001"] if options != 0x20 else []), "3.8.3.1: at the first SUBSCRIBE"
    second = packets(client.say(b"\x82\x07\x00\x02\x00\x00\x01t" + bytes((options,))))
    assert second == [b"\x90\x04\x00\x02\x00\x00", *again]


def test_no_more_than_receive_maximum_are_in_flight() -> None:
    """3.3.4: the rest waits for acknowledgements, and packet identifiers in use are not used again."""
    house = House()
    client = house.client("mqtt")
    client.say(connect_v5(b"\x21\x00\x02") + b"\x82\x07\x00\x01\x00\x00\x01#\x01")
    for number in range(5):
        house.publish(f"t{number}", b"%d" % number)
    first = packets(client.heard())
    assert [packet[6:8] for packet in first] == [b"\x00\x01", b"\x00\x02"]
    third = packets(client.say(b"\x40\x02\x00\x02"))
    assert [(packet[6:8], packet[-1:]) for packet in third] == [(b"\x00\x03", b"2")]
    rest = packets(client.say(b"\x40\x02\x00\x01\x40\x04\x00\x03\x10\x00"))
    assert [packet[-1:] for packet in rest] == [b"3", b"4"]
    assert packets(client.say(b"\x40\x02\x00\x09")) == [], "an acknowledgement of nothing"


def test_a_client_that_acknowledges_nothing_has_a_bound() -> None:
    house = House()
    client = house.client("mqtt")
    client.say(PLAIN + b"\x82\x06\x00\x01\x00\x01#\x01")
    for number in range(1100):
        house.publish(f"t{number}")
    assert len(packets(client.heard())) == 1024


@pytest.mark.slow
def test_packet_identifiers_go_round() -> None:
    house = House()
    client = house.client("mqtt")
    client.say(PLAIN + SUBSCRIBED_1)
    seen = []
    for _ in range(65_540):
        house.publish("t")
        [packet] = packets(client.heard())
        seen.append(int.from_bytes(packet[5:7], "big"))
        client.session.receive(b"\x40\x02" + packet[5:7], text=False)
    assert seen == [*range(1, 65_536), *range(1, 6)]


def test_a_client_silent_for_one_and_a_half_keep_alives_is_closed() -> None:
    """3.1.2.10."""
    client = House().client("mqtt")
    client.say(connect(0x02, b"\x00\x01a", keep_alive=10))
    client.beat(14)
    assert client.line.closed is None
    client.say(b"\xc0\x00")
    client.beat(15)
    assert client.line.closed is None
    client.beat(3)
    assert client.line.closed == 4408


def test_a_keep_alive_of_0_is_none() -> None:
    client = House().client("mqtt")
    client.say(connect(0x02, b"\x00\x01a", keep_alive=0))
    client.beat(600)
    assert client.line.closed is None


def test_a_client_that_never_connects_is_closed() -> None:
    """3.1: a reasonable amount of time."""
    client = House().client("mqtt")
    client.beat(12)
    assert client.line.closed == 1002


def test_the_broker_that_does_not_take_a_message() -> None:
    house = House()
    house.broker.down = CommandError("upstream-down", "no broker")
    client = house.client("mqtt")
    client.say(V5)
    assert packets(client.say(b"\x32\x10\x00\x0acommands/a\x00\x07\x00x")) == [b"\x40\x03\x00\x07\x80"]
    old = house.client("mqtt")
    old.say(PLAIN)
    assert packets(old.say(PUBLISH_1)) == []
    assert old.line.closed == 1008


def test_a_topic_that_is_none_is_refused_as_a_topic() -> None:
    """3.4.2.1: 0x90, where a SUBACK has 0x8F."""
    client = House().client("mqtt")
    client.say(V5)
    topic = b"commands" + b"/x" * 200
    body = len(topic).to_bytes(2, "big") + topic + b"\x00\x07\x00x"
    assert packets(client.say(b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body)) == [
        b"\x40\x03\x00\x07\x90"
    ]


def test_one_of_311_that_publishes_too_fast_ends_with_the_code_that_says_when_to_come_back() -> None:
    client = House().client("mqtt")
    client.say(PLAIN)
    for _ in range(110):
        client.say(PUBLISH_1)
    assert client.line.closed == 4429


def test_what_is_published_reaches_the_broker_as_it_is() -> None:
    house = House()
    client = house.client("mqtt")
    client.say(V5 + b"\x30\x11\x00\x0acommands/a\x02\x01\x01\xff\x00")
    assert house.broker.published == [("commands/a", b"\xff\x00", 0, False)]


def test_a_stop_is_told_in_5() -> None:
    """3.14.2.1."""
    house = House()
    new, old = house.client("mqtt"), house.client("mqtt")
    new.say(V5)
    old.say(PLAIN)
    for client in (new, old):
        client.session.closing("gateway is stopping", 1.0)
    assert packets(new.heard()) == [disconnect(0x8B, "gateway is stopping")]
    assert packets(old.heard()) == []


def test_what_a_broker_has_no_word_for_comes_at_a_topic_of_its_own() -> None:
    house = House()
    client = house.client("mqtt")
    client.say(V5)
    subscribe = b"\x82\x15\x00\x09\x00\x00\x0f$gateway/events\x01"
    assert packets(client.say(subscribe)) == [b"\x90\x04\x00\x09\x00\x00"]
    client.session.closing("gateway is stopping", 1.0)
    told, last = packets(client.heard())
    assert told[2:20] == b"\x00\x0f$gateway/events\x00"
    assert told[20:] == b'{"type":"closing","reason":"gateway is stopping","retry_after":1.0}'
    assert last == disconnect(0x8B, "gateway is stopping")
    unsubscribe = b"\xa2\x14\x00\x0a\x00\x00\x0f$gateway/events"
    assert packets(client.say(unsubscribe)) == [b"\xb0\x04\x00\x0a\x00\x00"]
    assert packets(client.say(unsubscribe)) == [b"\xb0\x04\x00\x0a\x00\x11"]


@pytest.mark.parametrize(("code", "reason"), [(4401, 0x87), (4403, 0x87), (4408, 0x8D), (4429, 0x96)])
def test_an_end_that_the_gateway_brings_about_has_its_reason_in_5(code: int, reason: int) -> None:
    """3.14.2.1."""
    house = House()
    new, old, early = house.client("mqtt"), house.client("mqtt"), house.client("mqtt")
    new.say(V5)
    old.say(PLAIN)
    for client in (new, old, early):
        client.session.farewell(code, "so it is")
    assert packets(new.heard()) == [disconnect(reason, "so it is")]
    assert packets(old.heard()) == []
    assert packets(early.heard()) == [], "3.14: not before CONNACK"


def test_what_has_no_packet_of_its_own_is_told_to_whoever_listens() -> None:
    """3.3.1.2: a PUBLISH of QoS 0 has no answer; and no packet takes a subscription away."""
    house = House()
    deaf, listens = house.client("mqtt"), house.client("mqtt")
    for client in (deaf, listens):
        client.say(PLAIN + SUBSCRIBED)
    listens.say(b"\x82\x14\x00\x09\x00\x0f$gateway/events\x00")
    narrower = Identity(Role("tester", subscribe=("other",)), credential="t", method="token")
    told = []
    for client in (deaf, listens):
        told += packets(client.say(b"\x30\x04\x00\x01tx"))
        client.session.become(narrower)
        told += packets(client.heard())
    assert [packet.partition(b"events")[2] for packet in told] == [
        b'{"type":"error","id":null,"code":"forbidden","message":"role \\"tester\\" may not publish to t"}',
        b'{"type":"error","id":null,"code":"forbidden","message":"role \\"tester\\" may not subscribe to t any more"}',
    ]


def test_the_end_of_the_retained_messages_names_their_subscribe() -> None:
    client = House().client("mqtt")
    client.say(PLAIN)
    client.say(b"\x82\x14\x00\x09\x00\x0f$gateway/events\x00")
    told = packets(client.say(b"\x82\x08\x00\x07\x00\x03t/#\x00"))[-1]
    assert told.endswith(b'{"type":"replayed","id":7,"count":0,"complete":true,"offset":0}')


def test_a_message_that_comes_while_a_subscription_is_renewed_comes_once() -> None:
    """It came live, and once more behind the retained messages of the new SUBSCRIBE."""
    house = House()
    client = house.client("mqtt")
    client.say(PLAIN)
    house.publish("t", b"old")
    client.say(b"\x82\x06\x00\x01\x00\x01t\x00")
    client.line.queued = True
    client.say(b"\x82\x06\x00\x02\x00\x01t\x00")
    house.publish("t", b"new")
    told = client.heard()
    client.line.queued = False
    client.session.drained()
    told += client.heard()
    assert [packet[5:] for packet in packets(told)] == [b"old", b"new"]
