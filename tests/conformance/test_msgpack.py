"""The native protocol in MessagePack: the same objects as in JSON, payloads as bytes."""

import msgspec
import pytest
from support.conversation import Client, House

from gateway.edge.dialects.msgpack import NAME
from gateway.edge.dialects.native import NAME as JSON

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


def say(client: Client, **fields: object) -> list[dict[str, object]]:
    return [unpack(packet) for packet in client.say(pack(fields))]


def test_every_event_is_the_object_that_json_has() -> None:
    told = []
    for name, encode, decode in ((NAME, pack, unpack), (JSON, msgspec.json.encode, msgspec.json.decode)):
        house = House()
        client = house.client(name)
        packets = client.heard()
        for fields in (
            {"type": "subscribe", "id": 1, "topics": ["t", "secret/#"], "replay": {"epoch": "old", "offset": 3}},
            {"type": "ping", "id": "p"},
            {"type": "publish", "id": 2, "topic": "t", "data": 1},
            {"type": "dance", "id": 3},
            {"type": "unsubscribe", "id": 4, "topics": ["t"]},
        ):
            data = encode(fields)
            packets += client.say(data if name == NAME else data.decode())
        told.append([decode(packet) for packet in packets])
    assert told[0] == told[1]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_payloads_are_bytes_of_any_length(size: int) -> None:
    house = House()
    client = house.client(NAME)
    client.heard()
    say(client, type="subscribe", topics=["t"], replay="none")
    house.publish("t", b"\xff" * size)
    [packet] = client.heard()
    assert unpack(packet) == {
        "type": "message",
        "topic": "t",
        "data": b"\xff" * size,
        "timestamp": 1_700_000_000.0,
        "offset": 1,
    }


def test_what_is_special_is_said() -> None:
    house = House(show_upstream=True)
    house.publish("t", b"", retained=True, size=99)
    client = house.client(NAME)
    client.heard()
    message = say(client, type="subscribe", topics=["t"])[1]
    assert message | {"data": None} == message
    assert {key: message[key] for key in ("retained", "replay", "too_large", "size", "upstream")} == {
        "retained": True,
        "replay": True,
        "too_large": True,
        "size": 99,
        "upstream": "site",
    }


def test_bytes_are_published_as_they_are() -> None:
    house = House()
    client = house.client(NAME)
    client.heard()
    say(client, type="publish", id=1, topic="commands/a", data=b"\0\xff", qos=1)
    say(client, type="publish", id=2, topic="commands/a", data={"on": True})
    assert [payload for _, payload, _, _ in house.broker.published] == [b"\0\xff", b'{"on":true}']


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x81", b"\xc7\x01\x05a", b"\x93" * 4000, pack([1]), pack({(1, 2): 3, "type": "ping", "id": {}})],
    ids=["nothing", "never used", "cut", "extension", "deep", "no object", "no id"],
)
def test_what_is_no_command_is_an_error(data: bytes) -> None:
    client = House().client(NAME)
    client.heard()
    [error] = [unpack(packet) for packet in client.say(data)]
    assert (error["type"], error["code"]) == ("error", "bad-json")
    assert client.line.closed is None


def test_data_that_json_cannot_say_is_an_error() -> None:
    client = House().client(NAME)
    client.heard()
    [error] = say(client, type="publish", id=1, topic="commands/a", data={(1, 2): 3})
    assert error["code"] == "bad-json"


def test_text_frames_are_refused() -> None:
    client = House().client(NAME)
    client.say("{}")
    assert client.line.closed == 1003
