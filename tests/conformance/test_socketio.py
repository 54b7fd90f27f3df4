"""Engine.IO 4 and Socket.IO 5, as their protocol documents number things: packets in, packets and effects out."""

import json
from typing import NamedTuple

import pytest
from support.conversation import House

PATH = "/socket.io/"
ANSWER = '{"type":"ok","id":"1","subscribed":[{"filter":"t","granted":true,"reason":null}]}'


class Row(NamedTuple):
    """What a client sends after `before`, the packets that it gets, and the close code if there is one."""

    section: str
    name: str
    sent: list[str | bytes]
    got: list[str]
    closed: int | None = None
    before: str | None = "40"
    anonymous: bool = True


def failed(code: str, why: str, id: str = "1") -> str:
    return json.dumps({"type": "error", "id": id, "code": code, "message": why}, separators=(",", ":"))


ROWS = [
    Row("Engine.IO Heartbeat", "pong", ["3"], []),
    Row("Engine.IO Upgrade", "a probe", ["2probe"], ["3probe"]),
    Row("Engine.IO close", "by packet", ["1"], [], 1000),
    Row("Engine.IO Packet types", "one that a client has not", ["0{}"], [], 1002),
    Row("Engine.IO Packet types", "one that nobody has", ["x"], [], 1002),
    Row("Connection to a namespace", "another than /", ["40/admin,"], ['44/admin,{"message":"Invalid namespace"}']),
    Row("Connection to a namespace", "twice", ["40"], [], 1002),
    Row("Connection to a namespace", "something else first", ['42["subscribe","t"]'], [], 1002, before=None),
    Row("Connection to a namespace", "auth that is no object", ["40[]"], [], 1002, before=None),
    Row(
        "Connection to a namespace",
        "no token where one is needed",
        ["40"],
        ['44{"message":"sign in: auth is {token}"}'],
        4401,
        before=None,
        anonymous=False,
    ),
    Row(
        "Connection to a namespace",
        "a wrong token",
        ['40{"token":"wrong"}'],
        ['44{"message":"no such token","data":{"code":"bad-token"}}'],
        4401,
        before=None,
        anonymous=False,
    ),
    Row(
        "Acknowledgement",
        "subscribe by a word",
        ['427["subscribe","t"]'],
        [
            "437[" + ANSWER + "]",
            REPLAYED := '42["replayed",{"type":"replayed","id":"1","count":0,"complete":true,"offset":0},"e1:0"]',
        ],
    ),
    Row("Acknowledgement", "by a list", ['427["subscribe",["t"]]'], ["437[" + ANSWER + "]", REPLAYED]),
    Row(
        "Acknowledgement", "by an object", ['427["subscribe",{"topics":"t","replay":"none"}]'], ["437[" + ANSWER + "]"]
    ),
    Row(
        "Sending and receiving data",
        "without an acknowledgement",
        ['42["subscribe",{"topics":"t","replay":"none"}]'],
        [],
    ),
    Row(
        "Acknowledgement",
        "a refusal is an answer too",
        ['427["subscribe","secret/a"]'],
        ["437[" + failed("forbidden", 'role "tester" is denied secret/a') + "]"],
    ),
    Row(
        "Sending and receiving data",
        "a refusal nobody waits for is an event",
        ['42["subscribe","secret/a"]'],
        ['42["error",' + failed("forbidden", 'role "tester" is denied secret/a') + "]"],
    ),
    Row(
        "Acknowledgement",
        "publish",
        ['427["publish","commands/a",{"on":true}]'],
        ['437[{"type":"ok","id":"1","published":"commands/a"}]'],
    ),
    Row(
        "Acknowledgement",
        "an event that nobody knows",
        ['427["dance"]'],
        [
            "437["
            + failed(
                "unknown-type",
                'type "dance" is unknown; known are subscribe, unsubscribe, publish, auth, history, ping',
            )
            + "]"
        ],
    ),
    Row(
        "Acknowledgement",
        "an argument that is none",
        ['427["subscribe",7]'],
        ["437[" + failed("bad-json", "the argument of subscribe is an object") + "]"],
    ),
    Row("Sending and receiving data", "an event for another namespace", ['42/admin,["subscribe","t"]'], []),
    Row("Packet encoding", "not JSON", ["42[x]"], [], 1002),
    Row("Packet encoding", "an event that is no list", ['42{"a":1}'], [], 1002),
    Row("Packet encoding", "an event without a name", ["42[7]"], [], 1002),
    Row("Packet encoding", "an acknowledgement of ours", ["431[]"], []),
    Row("Packet encoding", "nested too deep", ["42" + "[" * 3000], [], 1002),
    Row(
        "Binary events",
        "an attachment takes its place",
        ['451-7["publish",{"topic":"commands/a","data":{"_placeholder":true,"num":0}}]', b"\0\xff"],
        ['437[{"type":"ok","id":"1","published":"commands/a"}]'],
    ),
    Row(
        "Binary events",
        "an attachment that is not there",
        ['451-7["publish",{"topic":"commands/a","data":{"_placeholder":true,"num":1}}]', b"x"],
        [],
        1002,
    ),
    Row("Binary events", "an attachment that nobody announced", [b"x"], [], 1002),
    Row(
        "Binary events", "a packet between", ['451-7["publish",{"_placeholder":true,"num":0}]', '42["ping"]'], [], 1002
    ),
    Row("Binary events", "too many attachments", ['4599-["publish"]'], [], 1002),
    Row("Disconnection from a namespace", "by packet", ["41"], [], 1000),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section}: {row.name}")
def test_section(row: Row) -> None:
    client = House().client(PATH, anonymous=row.anonymous)
    client.heard()
    if row.before is not None:
        client.say(row.before)
    got = [packet.decode() for each in row.sent for packet in client.say(each)]
    assert got == row.got
    assert client.line.closed == row.closed


def test_the_first_words() -> None:
    """Handshake: the server opens; Connection to a namespace: the client asks, and is told a session id."""
    client = House().client(PATH)
    [opened] = client.heard()
    told = json.loads(opened[1:])
    assert (opened[:1], told["upgrades"], told["pingInterval"], told["maxPayload"]) == (b"0", [], 20_000, 4096)
    accepted, welcome = client.say("40")
    assert accepted[:2] == b"40"
    assert json.loads(accepted[2:]).keys() == {"sid", "pid"}
    assert json.loads(welcome[2:])[0] == "welcome"


def test_a_token_signs_in() -> None:
    client = House().client(PATH, anonymous=False)
    client.heard()
    assert client.say('40{"token":"right"}')[0].startswith(b'40{"sid"')


def test_pings_and_a_pong_that_does_not_come() -> None:
    """Heartbeat."""
    client = House().client(PATH)
    client.heard()
    client.say("40")
    assert [packet for packet in client.beat(21) if packet[:1] != b"4"] == [b"2"]
    client.say("3")
    assert [packet for packet in client.beat(20) if packet[:1] != b"4"] == [b"2"]
    client.beat(21)
    assert client.line.closed == 4408


def test_a_message_is_an_event_that_ends_with_its_offset() -> None:
    house = House()
    client = house.client(PATH)
    client.heard()
    client.say("40")
    client.say('42["subscribe","t"]')
    house.publish("t", b"21.5")
    [packet] = client.heard()
    assert packet == (
        b'42["message",{"type":"message","topic":"t","data":21.5,"timestamp":1700000000.000,"offset":1},"e1:1"]'
    )


def recover(house: House, pid: str, offset: str | None) -> tuple[bool, list[int]]:
    """Come back with a private id: whether it was known, and the offsets told."""
    client = house.client(PATH)
    client.heard()
    wish = {"pid": pid} if offset is None else {"pid": pid, "offset": offset}
    packets = [packet.decode() for packet in client.say(f"40{json.dumps(wish)}")]
    known = json.loads(packets[0][2:])["pid"] == pid
    messages = [json.loads(packet[2:]) for packet in packets if packet.startswith('42["message"')]
    marks = [json.loads(packet[2:])[-1] for packet in packets if packet.startswith('42["replayed"')]
    assert marks in ([], [f"e1:{house.log.newest}"]), "what came is not asked for again"
    return known, [message[1]["offset"] for message in messages]


def test_state_is_recovered_after_the_last_offset() -> None:
    house = House()
    client = house.client(PATH)
    client.heard()
    pid = json.loads(client.say("40")[0][2:])["pid"]
    client.say('42["subscribe","t"]')
    client.say('42["subscribe",["u","v"]]')
    client.say('42["unsubscribe","u"]')
    house.publish("t")
    client.session.end()
    house.publish("t")
    house.publish("u")
    house.publish("t")
    assert recover(house, pid, "e1:1") == (True, [2, 4])
    assert recover(house, pid, None) == (True, [1, 2, 4]), "one that never got a message"
    assert recover(house, pid, "old:1") == (True, [4]), "another epoch: last values, behind a gap"
    assert recover(house, "guess", "e1:1") == (False, [])


def test_what_was_left_behind_is_forgotten_in_time() -> None:
    house = House()
    client = house.client(PATH)
    client.heard()
    pid = json.loads(client.say("40")[0][2:])["pid"]
    client.say('42["subscribe","t"]')
    client.beat(1)
    client.session.end()
    other = house.client(PATH)
    other.heard()
    other.say("40")
    for _ in range(10):
        other.say("3")
        other.beat(13)
    assert recover(house, pid, "e1:0") == (False, [])


def test_a_client_that_never_connects_is_closed() -> None:
    client = House().client(PATH)
    for _ in range(5):
        client.beat(10)
        client.say("3")
    assert client.line.closed == 1002
