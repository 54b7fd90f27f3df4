"""Which dialect a request gets: by subprotocol, by path, by what the listener speaks."""

import json

import pytest
from support.edge import Edge
from websockets.exceptions import InvalidStatus

from gateway.config.model import Listen
from gateway.edge.dialects.registry import KINDS, ROWS
from gateway.edge.doors import Door


def test_kinds_are_those_that_a_listener_may_be_told_to_speak():
    assert set(KINDS.values()) == set(Listen().dialects) - {"sse"}, "SSE is no WebSocket"


def test_every_token_is_there_once():
    assert len(KINDS) == len(ROWS)


@pytest.mark.parametrize("path", ["/", "/stream", "/ws", "/mqtt", "/stomp"])
@pytest.mark.parametrize("token", [token for token in KINDS if token and not token.startswith("/")])
async def test_every_subprotocol_is_spoken_on_every_stream_path(path, token):
    async with Edge() as edge, edge.connect(path=path, subprotocols=[token]) as client:
        assert client.subprotocol == token


async def test_the_first_offered_that_is_spoken_is_chosen():
    async with Edge() as edge, edge.connect(subprotocols=["v10.stomp", "mqtt", "v12.stomp"]) as client:
        assert client.subprotocol == "mqtt"


async def test_socket_io_has_its_path_and_no_subprotocol():
    async with Edge() as edge, edge.connect("?EIO=4&transport=websocket", path="/socket.io/") as client:
        assert json.loads((await client.recv())[1:])["upgrades"] == []
        assert client.subprotocol is None


async def test_polling_is_told_to_use_the_websocket():
    async with Edge(origins=["https://panel.example"]) as edge:
        answer = await edge.raw(
            b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n"
            b"Origin: https://panel.example\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'transports: ["websocket"]' in answer
        assert b"Access-Control-Allow-Origin: https://panel.example" in answer
        answer = await edge.raw(b"GET /socket.io/ HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403 ")


async def test_a_listener_speaks_only_what_it_is_told_to():
    async with Edge(door=Door(dialects=frozenset({"mqtt"}))) as edge:
        async with edge.connect(subprotocols=["v12.stomp", "mqtt"]) as client:
            assert client.subprotocol == "mqtt"
        for path, tokens in (("/stream", None), ("/stream", ["v12.stomp"]), ("/socket.io/", None)):
            with pytest.raises(InvalidStatus) as refused:
                await edge.connect(path=path, subprotocols=tokens).__aenter__()
            assert refused.value.response.status_code == 400


async def test_the_address_subscribes_in_the_native_protocol_only():
    async with Edge() as edge, edge.connect("?topic=%23", subprotocols=["mqtt"]) as client:
        edge.publish("t")
        await client.send(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\xc0\x00")
        assert [await client.recv(), await client.recv()] == [b"\x20\x02\x00\x00", b"\xd0\x00"]
