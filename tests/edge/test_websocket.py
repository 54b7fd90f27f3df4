"""The library's side of the handshake, as the client is answered."""

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN

from gateway.edge.http import Reply
from gateway.edge.websocket import WebSocket

HANDSHAKE = {
    "Host": "box.example.org",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def asked(**other: str | None) -> Request:
    wanted = HANDSHAKE | {name.replace("_", "-"): value for name, value in other.items()}
    return Request("/stream", Headers({name: value for name, value in wanted.items() if value is not None}))


def test_a_good_handshake_is_accepted_with_our_headers():
    """RFC 6455, 1.3: the accept of its sample nonce."""
    websocket = WebSocket(1024)
    accepted = websocket.shake_hands(asked(), [("Sec-WebSocket-Protocol", "mqtt")])
    assert isinstance(accepted, bytes)
    head = accepted.decode().split("\r\n")
    assert head[0].split()[1] == "101"
    assert {"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: mqtt"} < set(head)
    assert head[-2:] == ["", ""]
    assert websocket.state is OPEN


@pytest.mark.parametrize(
    ("request_", "status", "header"),
    [
        (asked(Upgrade=None, Connection=None), 426, ("Upgrade", "websocket")),
        (asked(Sec_WebSocket_Key=None), 400, None),
        # RFC 6455, 4.4: a version that is not ours is answered by the one that is.
        (asked(Sec_WebSocket_Version="8"), 400, ("Sec-WebSocket-Version", "13")),
    ],
    ids=["no upgrade", "no key", "another version"],
)
def test_what_is_no_good_handshake_is_refused_in_plain_http(request_, status, header):
    websocket = WebSocket(1024)
    refused = websocket.shake_hands(request_, [])
    assert isinstance(refused, Reply)
    assert refused.status == status
    assert header is None or header in refused.headers
    assert websocket.state is CONNECTING
