"""The same bytes serve every client of a variant: encoded once, however many there are."""

import pytest
from support.conversation import House

from gateway.edge.dialects import framing
from gateway.edge.dialects.native import JsonVariant
from gateway.edge.dialects.sse import SseVariant, event
from gateway.hub.message import Message
from gateway.hub.subscription import View

HELLO = {
    "v12.stomp": ["CONNECT\naccept-version:1.2\n\n\0", "SUBSCRIBE\nid:0\ndestination:t/#\n\n\0"],
    "mqtt": [b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", b"\x82\x08\x00\x01\x00\x03t/#\x00"],
    "/socket.io/": ["40", '42["subscribe","t/#"]'],
    "": ['{"type":"subscribe","topics":["t/#"]}'],
}
QOS_1 = [b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", b"\x82\x08\x00\x01\x00\x03t/#\x01"]


def clients(house, token, words, count=10):
    made = [house.client(token) for _ in range(count)]
    for client in made:
        for word in words:
            client.say(word)
    return made


@pytest.mark.parametrize("token", HELLO)
def test_clients_that_asked_for_the_same_are_one_audience(token):
    house = House()
    made = clients(house, token, HELLO[token])
    assert house.hub.audiences == 1
    house.publish("t/a")
    assert len({tuple(client.heard()) for client in made}) == 1


def test_clients_served_alone_share_an_audience_too():
    """Only the stamp is their own: here each has another packet identifier for the same message."""
    house = House()
    first = clients(house, "mqtt", QOS_1, 1)[0]
    house.publish("t/a")
    assert first.heard() == [b"\x32\x08\x00\x03t/a\x00\x011"]
    others = clients(house, "mqtt", QOS_1)
    assert house.hub.audiences == 1
    for client in others:
        client.heard()
        client.say(b"\x40\x02\x00\x01")
    house.publish("t/a", b"2")
    assert first.heard() == [b"\x32\x08\x00\x03t/a\x00\x022"]
    assert {tuple(client.heard()) for client in others} == {(b"\x32\x08\x00\x03t/a\x00\x022",)}


def test_variants_that_make_other_bytes_are_other_audiences():
    house = House()
    clients(house, "mqtt", HELLO["mqtt"], 2)
    clients(house, "mqtt", QOS_1, 2)
    clients(house, "v12.stomp", HELLO["v12.stomp"], 2)
    clients(house, "v12.stomp", [word.replace("id:0", "id:1") for word in HELLO["v12.stomp"]], 2)
    clients(house, "", HELLO[""], 2)
    assert house.hub.audiences == 5


PAYLOADS = [
    b"21.5",
    b"text",
    b"\xff",
    b"",
    b"[1,\n2]",
    b"1\r",
    b'{"a":' * 600 + b"1" + b"}" * 600,
    b"[" * 100 + b"]" * 100,
]
FACTS = pytest.mark.parametrize("facts", [{}, {"retained": True}, {"size": 9999}], ids=["plain", "retained", "large"])


@pytest.mark.parametrize("payload", PAYLOADS)
@FACTS
def test_the_quick_way_of_socket_io_says_what_the_native_protocol_says(payload, facts):
    house = House()
    [native] = clients(house, "", HELLO[""], 1)
    [socketio] = clients(house, "/socket.io/", HELLO["/socket.io/"], 1)
    house.publish("t/a", b"" if "size" in facts else payload, **facts)
    [told] = native.heard()
    assert socketio.heard() == [b'42["message",' + told + b',"e1:1"]']


@pytest.mark.parametrize("payload", PAYLOADS)
@FACTS
def test_the_quick_way_of_server_sent_events_says_what_the_native_protocol_says(payload, facts):
    message = Message("t/a", b"" if "size" in facts else payload, 1.5, "site", **facts, offset=7)
    native = framing.body(JsonVariant().encoder("t/a", View())(message))
    quick = SseVariant("e1", JsonVariant(), marks=True).encoder("t/a", View())
    assert quick(message) == event(native, b"e1:7")
