"""STOMP 1.1 and 1.2, section by section: frames in, frames and effects out."""

import re
from typing import NamedTuple

import pytest
from support.conversation import House

from gateway.hub.outbox import Bounds

HELLO = "CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\n\n\0"
HELLO_11 = "CONNECT\naccept-version:1.1\nhost:h\n\n\0"
CONNECTED = (
    "CONNECTED\nversion:1.2\nsession:s1\nserver:sensor-gateway/0\nheart-beat:10000,10000\nepoch:e1\noffset:0\n\n\0"
)
SUBSCRIBE = "SUBSCRIBE\nid:0\ndestination:t\n\n\0"


def error(code: str, why: str, *more: str) -> str:
    lines = [f"message:{why}", f"code:{code}", "content-type:text/plain", *more]
    head = [line.replace("\\", "\\\\") if line.startswith("message:") else line for line in lines]
    return "\n".join(["ERROR", *head, f"content-length:{len(why.encode())}", "", why]) + "\0"


class Row(NamedTuple):
    """What a client sends after `before`, the frames that it gets, and the close code if there is one."""

    section: str
    name: str
    sent: str
    got: list[str]
    closed: int | None = None
    before: str = HELLO
    anonymous: bool = True


ROWS = [
    Row("Protocol Negotiation", "the newest of both is spoken", HELLO, [CONNECTED], before=""),
    Row("Protocol Negotiation", "1.1", HELLO_11, [CONNECTED.replace("1.2", "1.1")], before=""),
    Row(
        "Protocol Negotiation",
        "1.0, which names no version",
        "CONNECT\n\n\0",
        ["ERROR\nversion:1.1,1.2\nmessage:STOMP 1.0 is not spoken here\\c 1.1, 1.2 are\n\n\0"],
        1002,
        before="",
    ),
    Row(
        "Protocol Negotiation",
        "1.0 by name",
        "CONNECT\naccept-version:1.0\n\n\0",
        ["ERROR\nversion:1.1,1.2\nmessage:STOMP 1.0 is not spoken here\\c 1.1, 1.2 are\n\n\0"],
        1002,
        before="",
    ),
    Row("CONNECT or STOMP Frame", "STOMP is CONNECT", HELLO.replace("CONNECT", "STOMP"), [CONNECTED], before=""),
    Row("CONNECT or STOMP Frame", "twice", HELLO, [error("malformed", "a second CONNECT")], 1002),
    Row(
        "Connecting",
        "something else first",
        SUBSCRIBE,
        [error("malformed", "the first frame is CONNECT")],
        1002,
        before="",
    ),
    Row(
        "CONNECT or STOMP Frame",
        "a passcode is a token",
        "CONNECT\naccept-version:1.2\nlogin:me\npasscode:right\n\n\0",
        [CONNECTED],
        before="",
        anonymous=False,
    ),
    Row(
        "CONNECT or STOMP Frame",
        "a passcode may look like a header",
        "CONNECT\naccept-version:1.2\npasscode:Bearer right\n\n\0",
        [CONNECTED],
        before="",
        anonymous=False,
    ),
    Row(
        "CONNECT or STOMP Frame",
        "a wrong passcode",
        "CONNECT\naccept-version:1.2\nlogin:me\npasscode:wrong\n\n\0",
        [error("bad-token", "no such token")],
        4401,
        before="",
        anonymous=False,
    ),
    Row(
        "CONNECT or STOMP Frame",
        "no passcode where one is needed",
        HELLO,
        [error("not-authenticated", "sign in: the passcode is a token".replace(":", ":"))],
        4401,
        before="",
        anonymous=False,
    ),
    Row("Augmented BNF", "line feeds between frames", "\n\n\r\n" + HELLO, [CONNECTED], before=""),
    Row("Augmented BNF", "carriage returns in 1.2", HELLO.replace("\n", "\r\n"), [CONNECTED], before=""),
    Row("Augmented BNF", "two frames in one message", HELLO + SUBSCRIBE, [CONNECTED], before=""),
    Row("Heart-beating", "an empty line", "\n", []),
    Row(
        "Heart-beating",
        "a header that is no pair of numbers",
        "CONNECT\naccept-version:1.2\nheart-beat:often\n\n\0",
        [error("malformed", "heart-beat is two numbers of milliseconds")],
        1002,
        before="",
    ),
    Row("SUBSCRIBE", "silence, unless a receipt is asked for", SUBSCRIBE, []),
    Row("RECEIPT", "for SUBSCRIBE", "SUBSCRIBE\nid:0\ndestination:t\nreceipt:r\n\n\0", ["RECEIPT\nreceipt-id:r\n\n\0"]),
    Row(
        "SUBSCRIBE",
        "without id",
        "SUBSCRIBE\ndestination:t\n\n\0",
        [error("malformed", "the header id is missing")],
        1002,
    ),
    Row(
        "SUBSCRIBE",
        "without destination",
        "SUBSCRIBE\nid:0\n\n\0",
        [error("malformed", "the header destination is missing")],
        1002,
    ),
    Row(
        "SUBSCRIBE",
        "an id twice",
        SUBSCRIBE,
        [error("malformed", "subscription 0 is there already")],
        1002,
        before=HELLO + SUBSCRIBE,
    ),
    Row(
        "SUBSCRIBE",
        "an ack mode that is none",
        "SUBSCRIBE\nid:0\ndestination:t\nack:never\n\n\0",
        [error("malformed", "ack is one of auto, client, client-individual")],
        1002,
    ),
    Row(
        "ERROR",
        "a forbidden destination, with the receipt's id",
        "SUBSCRIBE\nid:0\ndestination:/topic/secret.a\nreceipt:r\n\n\0",
        [error("forbidden", 'role "tester" is denied secret/a', "receipt-id:r")],
        4403,
    ),
    Row(
        "SUBSCRIBE",
        "# in the middle, which MQTT has not",
        "SUBSCRIBE\nid:0\ndestination:/topic/a.#.b\n\n\0",
        [error("bad-filter", '"#" stands alone as the last level: "a/#/b"')],
        1008,
    ),
    Row(
        "UNSUBSCRIBE",
        "by id",
        "UNSUBSCRIBE\nid:0\nreceipt:r\n\n\0",
        ["RECEIPT\nreceipt-id:r\n\n\0"],
        before=HELLO + SUBSCRIBE,
    ),
    Row(
        "UNSUBSCRIBE",
        "an id that is none",
        "UNSUBSCRIBE\nid:9\n\n\0",
        [error("malformed", "there is no subscription 9")],
        1002,
    ),
    Row("SEND", "silence, unless a receipt is asked for", "SEND\ndestination:commands/a\n\non\0", []),
    Row("RECEIPT", "for SEND", "SEND\ndestination:commands/a\nreceipt:r\n\non\0", ["RECEIPT\nreceipt-id:r\n\n\0"]),
    Row(
        "SEND",
        "where the role may not",
        "SEND\ndestination:t\n\non\0",
        [error("forbidden", 'role "tester" may not publish to t')],
        4403,
    ),
    Row(
        "SEND",
        "a content-length that is wrong",
        "SEND\ndestination:commands/a\ncontent-length:1\n\non\0",
        [error("malformed", "no NUL behind the body: its content-length is wrong")],
        1002,
    ),
    Row(
        "SEND",
        "a content-length that is none",
        "SEND\ndestination:commands/a\ncontent-length:-1\n\non\0",
        [error("malformed", "content-length is a number of bytes")],
        1002,
    ),
    Row(
        "Size Limits",
        "a body above the limit",
        "SEND\ndestination:commands/a\ncontent-length:9999\n\n",
        [error("malformed", "a frame has at most 4096 bytes")],
        1002,
    ),
    Row(
        "Body",
        "only SEND has one",
        "SUBSCRIBE\nid:0\ndestination:t\n\nx\0",
        [error("malformed", "SUBSCRIBE has no body")],
        1002,
    ),
    Row(
        "Value Encoding",
        "an escape that nobody knows",
        "SUBSCRIBE\nid:\\t\ndestination:t\n\n\0",
        [error("malformed", "STOMP 1.2 does not know the escape \\t")],
        1002,
    ),
    Row(
        "Value Encoding",
        "\\r is new in 1.2",
        "SUBSCRIBE\nid:\\r\ndestination:t\n\n\0",
        [error("malformed", "STOMP 1.1 does not know the escape \\r")],
        1002,
        before=HELLO_11,
    ),
    Row(
        "Value Encoding",
        "a receipt comes back as it was",
        "DISCONNECT\nreceipt:a\\cb\\\\c\\nd\n\n\0",
        ["RECEIPT\nreceipt-id:a\\cb\\\\c\\nd\n\n\0"],
        1000,
    ),
    Row(
        "Repeated Header Entries",
        "the first counts",
        "DISCONNECT\nreceipt:1\nreceipt:2\n\n\0",
        ["RECEIPT\nreceipt-id:1\n\n\0"],
        1000,
    ),
    Row("DISCONNECT", "without a receipt", "DISCONNECT\n\n\0", [], 1000),
    Row("ACK", "of nothing", "ACK\nid:0@1\nreceipt:r\n\n\0", ["RECEIPT\nreceipt-id:r\n\n\0"]),
    Row(
        "BEGIN",
        "transactions are not offered",
        "BEGIN\ntransaction:t\n\n\0",
        [error("malformed", "transactions are not offered: the gateway stores nothing")],
        1002,
    ),
    Row(
        "SEND",
        "in a transaction",
        "SEND\ndestination:commands/a\ntransaction:t\n\n\0",
        [error("malformed", "transactions are not offered: the gateway stores nothing")],
        1002,
    ),
    Row(
        "Client Frames",
        "a command that is none",
        "DANCE\n\n\0",
        [error("malformed", "'DANCE' is no command of a client")],
        1002,
    ),
    Row(
        "Augmented BNF",
        "a header without a colon",
        "SEND\nx\n\n\0",
        [error("malformed", "a header is a name, a colon and a value")],
        1002,
    ),
]


def plain(frames: list[str]) -> list[str]:
    """Frames with the colons of their `message` header unescaped, as `error` writes them."""
    return [
        re.sub(r"(?m)^message:.*$", lambda m: m[0].replace("\\c", ":"), f, count=1) if "code:" in f else f
        for f in frames
    ]


def texts(frames: list[bytes]) -> list[str]:
    return plain([frame.decode() for frame in frames])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.name}")
def test_section(row: Row) -> None:
    client = House().client("v12.stomp", anonymous=row.anonymous)
    if row.before:
        client.say(row.before)
    assert texts(client.say(row.sent)) == row.got
    assert client.line.closed == row.closed


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.name}")
def test_section_byte_by_byte(row: Row) -> None:
    client = House().client("v12.stomp", anonymous=row.anonymous)
    if row.before:
        client.say(row.before)
    got = []
    for byte in row.sent.encode():
        if client.line.closed is None:
            got += texts(client.say(bytes((byte,))))
    assert got == row.got
    assert client.line.closed == row.closed


class Delivery(NamedTuple):
    """The MESSAGE that a subscription gets of a message of topic `a/b`."""

    section: str
    name: str
    subscribe: str
    payload: bytes
    got: bytes
    hello: str = HELLO


DELIVERIES = [
    Delivery(
        "MESSAGE",
        "a plain filter",
        "id:0\ndestination:a/+",
        b"21",
        b"MESSAGE\nmessage-id:0@1\nsubscription:0\ndestination:a/b\ntopic:a/b\nepoch:e1\noffset:1\n"
        b"timestamp:1700000000.000\ncontent-length:2\n\n21\0",
    ),
    Delivery(
        "MESSAGE",
        "RabbitMQ's style",
        "id:0\ndestination:/topic/a.*",
        b"21",
        b"MESSAGE\nmessage-id:0@1\nsubscription:0\ndestination:/topic/a.b\ntopic:a/b\nepoch:e1\noffset:1\n"
        b"timestamp:1700000000.000\ncontent-length:2\n\n21\0",
    ),
    Delivery(
        "Body",
        "NUL and bytes that are no text",
        "id:0\ndestination:a/b",
        b"\0\xff\0",
        b"MESSAGE\nmessage-id:0@1\nsubscription:0\ndestination:a/b\ntopic:a/b\nepoch:e1\noffset:1\n"
        b"timestamp:1700000000.000\ncontent-length:3\n\n\0\xff\0\0",
    ),
    Delivery(
        "MESSAGE",
        "an ack header where one is wanted",
        "id:x\\cy\ndestination:a/b\nack:client",
        b"1",
        b"MESSAGE\nack:x\\cy@1\nmessage-id:x\\cy@1\nsubscription:x\\cy\ndestination:a/b\ntopic:a/b\nepoch:e1\n"
        b"offset:1\ntimestamp:1700000000.000\ncontent-length:1\n\n1\0",
    ),
    Delivery(
        "Value Encoding",
        "a percent sign in an id",
        "id:%d\ndestination:a/b",
        b"1",
        b"MESSAGE\nmessage-id:%d@1\nsubscription:%d\ndestination:a/b\ntopic:a/b\nepoch:e1\noffset:1\n"
        b"timestamp:1700000000.000\ncontent-length:1\n\n1\0",
        hello=HELLO_11,
    ),
]


@pytest.mark.parametrize("row", DELIVERIES, ids=lambda row: f"{row.section}: {row.name}")
def test_delivery(row: Delivery) -> None:
    house = House()
    client = house.client("v12.stomp")
    client.say(row.hello)
    client.say(f"SUBSCRIBE\n{row.subscribe}\n\n\0")
    house.publish("a/b", row.payload)
    assert client.heard() == [row.got]


def offsets(frames: list[bytes]) -> list[tuple[str, int]]:
    """Subscription and offset of each MESSAGE."""
    heads = [frame.decode() for frame in frames if frame.startswith(b"MESSAGE")]
    return [(re.search("\nsubscription:(.*)", h)[1], int(re.search("\noffset:(.*)", h)[1])) for h in heads]  # type: ignore[index]


def test_two_subscriptions_have_two_messages() -> None:
    house = House()
    client = house.client("v12.stomp")
    client.say(HELLO + SUBSCRIBE + "SUBSCRIBE\nid:1\ndestination:#\n\n\0" + "SUBSCRIBE\nid:2\ndestination:t\n\n\0")
    house.publish("t")
    assert sorted(offsets(client.heard())) == [("0", 1), ("1", 1), ("2", 1)]
    client.say("UNSUBSCRIBE\nid:0\n\n\0")
    house.publish("t")
    assert sorted(offsets(client.heard())) == [("1", 2), ("2", 2)], "another has the same filter still"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ("", [9]),
        ("replay:none\n", []),
        ("replay:count\\c3\n", [7, 8, 9]),
        ("replay:e1\\c5\n", [6, 7, 8, 9]),
        ("epoch:e1\noffset:7\n", [8, 9]),
        ("epoch:old\noffset:7\n", [9]),
    ],
    ids=["last", "none", "count", "one word", "epoch and offset", "another epoch"],
)
def test_replay_by_headers(headers: str, wanted: list[int]) -> None:
    house = House()
    for _ in range(9):
        house.publish("t")
    client = house.client("v12.stomp")
    client.say(HELLO)
    assert [at for _, at in offsets(client.say(f"SUBSCRIBE\nid:0\ndestination:t\n{headers}\n\0"))] == wanted


@pytest.mark.parametrize(("mode", "freed"), [("client", 3), ("client-individual", 1)])
def test_unacknowledged_bytes_count_against_hard(mode: str, freed: int) -> None:
    """SUBSCRIBE: `client` acknowledges all before, `client-individual` one."""
    house = House()
    client = house.client("v12.stomp", bounds=Bounds(soft=1 << 20, hard=700))
    client.say(HELLO)
    client.say(f"SUBSCRIBE\nid:0\ndestination:#\nack:{mode}\n\n\0")
    for number in range(20):
        house.publish(f"t{number}", b"x" * 30)
    first = offsets(client.heard())
    count = len(first)
    assert 3 <= count < 10
    more = offsets(client.say("ACK\nid:0@3\n\n\0"))
    assert [at for _, at in more] == list(range(count + 1, count + 1 + freed))
    client.say("NACK\nid:0@4\n\n\0")
    client.say("UNSUBSCRIBE\nid:0\n\n\0")
    assert client.dialect.window is not None
    assert client.dialect.window.size == 0


def test_what_no_message_can_say_comes_to_a_destination_of_its_own() -> None:
    house = House()
    client = house.client("v12.stomp")
    client.say(HELLO + "SUBSCRIBE\nid:e\ndestination:/gateway/events\n\n\0")
    told = client.say("SUBSCRIBE\nid:0\ndestination:t\nepoch:old\noffset:7\n\n\0")
    assert [frame.decode().split("\n\n")[1][:13] for frame in told] == ['{"type":"gap"', '{"type":"repl']
    client.say("UNSUBSCRIBE\nid:e\n\n\0")
    assert client.say("SUBSCRIBE\nid:1\ndestination:u\nepoch:old\noffset:7\n\n\0") == []


def test_what_is_sent_reaches_the_broker_as_it_is() -> None:
    house = House()
    client = house.client("v12.stomp")
    client.say(HELLO)
    client.say(b"SEND\ndestination:/topic/commands.a\ncontent-length:3\nreceipt:r\n\n\0\xff\0\0")
    assert house.broker.published == [("commands/a", b"\0\xff\0", 1, False)]


def test_beats_go_both_ways() -> None:
    """Heart-beating: each way the slower of what one can do and the other wants."""
    client = House().client("v12.stomp")
    client.say("CONNECT\naccept-version:1.2\nheart-beat:5000,20000\n\n\0")
    beats = client.beat(15)
    client.say("\n")
    assert beats + client.beat(15) == [b"\n", b"\n"]
    client.say("\n")
    client.beat(19)
    assert client.line.closed is None
    client.beat(5)
    assert client.line.closed == 4408


def test_no_beats_where_none_are_wanted() -> None:
    client = House().client("v12.stomp")
    client.say(HELLO)
    assert client.beat(200) == []
    assert client.line.closed is None


def test_a_client_that_never_connects_is_closed() -> None:
    client = House().client("v12.stomp")
    client.beat(12)
    assert client.line.closed == 1002


@pytest.mark.parametrize(
    ("code", "name"), [(4401, "not-authenticated"), (4403, "forbidden"), (4408, "no-pong"), (4429, "too-fast")]
)
def test_an_end_that_the_gateway_brings_about_is_an_error(code: int, name: str) -> None:
    """ERROR."""
    client = House().client("v12.stomp")
    client.say(HELLO)
    client.session.farewell(code, "your token was revoked")
    assert texts(client.heard()) == [error(name, "your token was revoked")]


@pytest.mark.parametrize("code", [1000, 1001, 1012])
def test_a_stop_is_no_error(code: int) -> None:
    client = House().client("v12.stomp")
    client.say(HELLO)
    client.session.farewell(code, "gateway is stopping")
    assert client.heard() == []


def test_an_error_is_said_once() -> None:
    client = House().client("v12.stomp")
    client.say(HELLO)
    client.say("SUBSCRIBE\nid:0\ndestination:secret/a\n\n\0")
    client.session.farewell(4403, "role forbids it")
    assert client.heard() == []


def test_more_frames_than_are_taken_end_with_the_code_that_says_when_to_come_back() -> None:
    client = House().client("v12.stomp")
    client.say(HELLO)
    for _ in range(110):
        client.say("SEND\ndestination:/topic/commands.a\n\n1\0")
    assert client.line.closed == 4429


def test_a_client_may_come_with_all_its_subscriptions_at_once() -> None:
    """CONNECT was the hundred and first command: whoever had a hundred subscriptions never got in again."""
    house = House()
    client = house.client("v12.stomp")
    client.say(HELLO)
    for number in range(100):
        assert client.say(f"SUBSCRIBE\nid:{number}\ndestination:t{number}\n\n\0") == []
    assert (client.line.closed, len(client.session.subscriptions)) == (None, 100)


def test_the_end_of_a_replay_names_its_subscription() -> None:
    client = House().client("v12.stomp")
    client.say(HELLO)
    client.say("SUBSCRIBE\nid:e\ndestination:/gateway/events\n\n\0")
    client.say("SUBSCRIBE\nid:quiet\ndestination:t\nreplay:none\n\n\0")
    [told] = client.say("SUBSCRIBE\nid:mine\ndestination:t\n\n\0")
    assert told.endswith(b'{"type":"replayed","id":"mine","count":0,"complete":true,"offset":0}\0')
