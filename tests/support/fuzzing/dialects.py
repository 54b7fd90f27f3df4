"""What the dialects' decoders are fuzzed with: each target takes bytes, and raises nothing whatever they are.

The first byte of an input says how it is cut into WebSocket messages.
"""

import msgspec
from support.conversation import Client, House

from gateway.hub.outbox import Bounds

HIDDEN = b"7302951846"
MQTT_3 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
MQTT_5 = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a"
STOMP = b"CONNECT\naccept-version:1.1,1.2\nheart-beat:1000,1000\n\n\0"
_houses: list[House] = []


def house() -> House:
    """One for the process."""
    if not _houses:
        made = House()
        for topic, payload in (("t", b"1"), ("a/b", b"\xff\0"), ("secret/a", HIDDEN), ("big", b"")):
            made.publish(topic, payload, size=9999 if topic == "big" else 0)
        _houses.append(made)
    return _houses[0]


def converse(token: str, pieces: list[bytes | str]) -> tuple[bytes, int | None]:
    """What a client hears that says `pieces`, and the code that ends it; nothing of it stays in the house."""
    place = house()
    # The budget of commands is the session's business: its clock stands still here, and would run out.
    place.room.limits = msgspec.structs.replace(place.room.limits, commands_per_second=1e9)
    client: Client = place.client(token, bounds=Bounds(soft=4096, hard=8192))
    heard = client.heard()
    for piece in pieces:
        heard += client.say(piece)
        if client.line.closed is not None:
            break
    if client.line.closed is None:
        place.publish("t", b"2")
        heard += client.heard()
        heard += client.beat(2)
    client.session.end()
    assert not place.hub.audiences
    told = b"\n".join(heard)
    assert HIDDEN not in told, "what the role may not see was told"
    return told, client.line.closed


def cut(data: bytes) -> list[bytes | str]:
    """`data` in pieces as its first byte says."""
    size = data[0] % 64 + 1 if data else 1
    body = data[1:4000]
    return [body[at : at + size] for at in range(0, len(body), size)]


def mqtt(data: bytes) -> None:
    """Whatever comes, before and behind a good CONNECT."""
    for hello in (b"", MQTT_3, MQTT_5):
        whole = converse("mqtt", [hello + data[1:4000]])
        pieces = converse("mqtt", [hello, *cut(data)])
        assert whole[1] == pieces[1], "the end hangs on how the bytes were cut"


def stomp(data: bytes) -> None:
    """Whatever comes, before and behind a good CONNECT."""
    for hello in (b"", STOMP):
        whole = converse("v12.stomp", [hello + data[1:4000]])
        pieces = converse("v12.stomp", [hello, *cut(data)])
        assert whole[1] == pieces[1], "the end hangs on how the bytes were cut"


def socketio(data: bytes) -> None:
    """Text packets, one a line; a line of bytes that are no text is an attachment."""
    pieces: list[bytes | str] = []
    for line in data[:4000].split(b"\n")[:40]:
        try:
            pieces.append(line.decode())
        except UnicodeDecodeError:
            pieces.append(line)
    converse("/socket.io/", pieces)
    converse("/socket.io/", ["40", *pieces])


def msgpack(data: bytes) -> None:
    """One object."""
    converse("sensor-gateway.v1.msgpack", [data[:4000]])


TARGETS = (mqtt, stomp, socketio, msgpack)

SEEDS = {
    "mqtt": [
        b"\x07" + MQTT_3 + b"\x82\x06\x00\x01\x00\x01t\x01\x40\x02\x00\x01\xc0\x00\xe0\x00",
        b"\x03\x82\x09\x00\x01\x02\x0b\x07\x00\x01#\x01\xa2\x05\x00\x02\x00\x01#",
        b"\x3f\x32\x10\x00\x0acommands/a\x00\x07\x00x\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x00",
        b"\x01\x10\x1d\x00\x04MQTT\x05\xc6\x00\x3c\x03\x21\x00\x05\x00\x01a\x00\x00\x01w\x00\x00\x00\x01u\x00\x01p",
    ],
    "stomp": [
        b"\x05SUBSCRIBE\nid:0\ndestination:/topic/#\nack:client\nreceipt:r\n\n\0\nACK\nid:0@1\n\n\0",
        b"\x20SEND\ndestination:commands/a\ncontent-length:3\n\na\0b\0UNSUBSCRIBE\nid:0\n\n\0",
        b"\x01SUBSCRIBE\r\nid:a\\cb\\n\\\\\r\ndestination:a/+\r\nepoch:e1\r\noffset:1\r\n\r\n\0DISCONNECT\n\n\0",
    ],
    "socketio": [
        b'427["subscribe","t"]\n42["subscribe",{"topics":["#"],"replay":{"epoch":"e1","offset":1}}]',
        b'451-7["publish",{"topic":"commands/a","data":{"_placeholder":true,"num":0}}]\n\xff\xfe\n3\n41',
        b'40{"token":"right","pid":"id1","offset":"e1:1"}\n40/admin,{}\n421["unsubscribe","t"]',
    ],
    "msgpack": [b"\x83\xa4type\xa9subscribe\xa2id\x01\xa6topics\x91\xa1#", b"\x81\xa4type\xa4ping"],
}
