"""The table in docs/dialects.md, row by row: what a client of each dialect gets for the same thing."""

import json
from typing import Any, NamedTuple

import msgspec
import pytest
from support.conversation import Client, House

from devices.reading import Reading
from gateway.hub.subscription import Subscription

CONNECT_3 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a"
CONNECT_5 = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a"
STOMP = "CONNECT\naccept-version:1.2\n\n\0"


def pack(**fields: Any) -> bytes:
    return msgspec.msgpack.encode(fields)


def native(**fields: Any) -> str:
    return json.dumps({"type": "subscribe", "replay": "none"} | fields)


def emit(**fields: Any) -> str:
    return "42" + json.dumps(["subscribe", {"replay": "none"} | fields])


class Tongue(NamedTuple):
    """How a dialect says hello, asks for `t` thinned, for `t` with readings, and for `t` by two filters.

    None where it has no words for it.
    """

    token: str
    hello: list[bytes | str]
    thinned: bytes | str | None
    readings: bytes | str | None
    twice: list[bytes | str]
    copies: int = 1


TONGUES = {
    "native": Tongue(
        "",
        [],
        native(topics=["t"], mode="latest", interval=2),
        native(topics=["t"], readings=True),
        [native(topics=["t", "#"])],
    ),
    "msgpack": Tongue(
        "sensor-gateway.v1.msgpack",
        [],
        pack(type="subscribe", topics=["t"], mode="latest", interval=2, replay="none"),
        pack(type="subscribe", topics=["t"], readings=True, replay="none"),
        [pack(type="subscribe", topics=["t", "#"], replay="none")],
    ),
    "STOMP": Tongue(
        "v12.stomp",
        [STOMP],
        "SUBSCRIBE\nid:0\ndestination:t\nmode:latest\ninterval:2\nreplay:none\n\n\0",
        None,
        ["SUBSCRIBE\nid:0\ndestination:t\n\n\0", "SUBSCRIBE\nid:1\ndestination:#\n\n\0"],
        copies=2,
    ),
    "MQTT 3.1.1": Tongue("mqtt", [CONNECT_3], None, None, [b"\x82\x0a\x00\x01\x00\x01t\x00\x00\x01#\x00"]),
    "MQTT 5": Tongue(
        "mqtt",
        [CONNECT_5],
        None,
        None,
        [b"\x82\x09\x00\x01\x02\x0b\x01\x00\x01t\x00", b"\x82\x09\x00\x02\x02\x0b\x02\x00\x01#\x00"],
    ),
    "Socket.IO": Tongue(
        "/socket.io/",
        ["40"],
        emit(topics=["t"], mode="latest", interval=2),
        emit(topics=["t"], readings=True),
        [emit(topics=["t", "#"])],
    ),
}


def client_of(house: House, tongue: Tongue, *words: bytes | str) -> Client:
    client = house.client(tongue.token)
    for word in (*tongue.hello, *words):
        client.say(word)
    client.heard()
    return client


def those_with(part: str) -> Any:
    return pytest.mark.parametrize("name", [name for name, tongue in TONGUES.items() if getattr(tongue, part)])


@those_with("thinned")
def test_mode_and_interval(name: str) -> None:
    tongue = TONGUES[name]
    client = client_of(House(), tongue, tongue.thinned)
    [subscription] = client.session.subscriptions
    assert msgspec.structs.replace(subscription, copy="") == Subscription("t", latest=True, interval=2.0)


@those_with("readings")
def test_readings(name: str) -> None:
    tongue = TONGUES[name]
    house = House(readings=lambda message: [Reading("lamp", "1", "temperature", 21.5, "°C", None)])
    client = client_of(house, tongue, tongue.readings)
    house.publish("t")
    [told] = client.heard()
    assert b"lamp" in told
    assert b"temperature" in told


@pytest.mark.parametrize("name", TONGUES)
def test_a_message_that_two_subscriptions_match(name: str) -> None:
    tongue = TONGUES[name]
    house = House()
    client = client_of(house, tongue, *tongue.twice)
    house.publish("t", b"4711")
    told = [frame for frame in client.heard() if b"4711" in frame]
    assert len(told) == tongue.copies
    if name == "MQTT 5":
        assert sorted((told[0][6:8], told[0][8:10])) == [b"\x0b\x01", b"\x0b\x02"], "every identifier"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("native", b'"data":null,"size":9999,"too_large":true'),
        ("msgpack", b"\xa9too_large\xc3"),
        ("STOMP", b"\ntoo-large:9999\n"),
        ("MQTT 3.1.1", None),
        ("MQTT 5", None),
        ("Socket.IO", b'"data":null,"size":9999,"too_large":true'),
    ],
)
def test_a_payload_above_the_limit(name: str, told: bytes | None) -> None:
    tongue = TONGUES[name]
    house = House()
    client = client_of(house, tongue, *tongue.twice)
    house.publish("t", b"", size=9999)
    heard = [frame for frame in client.heard() if frame]
    assert len(heard) == (0 if told is None else tongue.copies)
    assert all(told in frame for frame in heard if told is not None)
