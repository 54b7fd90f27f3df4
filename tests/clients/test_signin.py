"""A token where each client's own protocol has its place for credentials."""

import time

import pytest

from gateway.edge.tokens import Tokens

CLIENTS = {
    "mqttjs.js": ("wss", "/mqtt", {"version": 5}),
    "stompjs.js": ("wss", "/stomp", {}),
    "socketio.js": ("wss", "", {}),
}


@pytest.fixture
def closed_gateway(secure_gateway, tmp_path):
    """A gateway that lets nobody in without a token, and a token."""
    tokens = Tokens(tmp_path / "tokens.json")
    token = tokens.new("ann", "viewer", now=time.time())
    return secure_gateway(auth=f'anonymous = ""\ntokens_file = "{tmp_path}/tokens.json"'), token


@pytest.mark.parametrize("script", CLIENTS)
def test_a_token_signs_in_and_a_wrong_one_does_not(closed_gateway, client, script):
    daemon, token = closed_gateway
    scheme, path, options = CLIENTS[script]
    url = f"{scheme}://localhost:{daemon.port}{path}"
    client(script, url=url, token=token, **options).next("connected")
    refused = client(script, url=url, token=token[:-4] + "abcd", **options)
    assert refused.next("connected", "error")["event"] == "error"
    nobody = client(script, url=url, **options)
    assert nobody.next("connected", "error")["event"] == "error"


@pytest.mark.parametrize("script", ["mqttjs.js", "stompjs.js"])
def test_a_token_that_is_revoked_ends_the_session_in_words_of_the_client(closed_gateway, client, tmp_path, script):
    daemon, token = closed_gateway
    scheme, path, options = CLIENTS[script]
    viewer = client(script, url=f"{scheme}://localhost:{daemon.port}{path}", token=token, **options)
    viewer.next("connected")
    Tokens(tmp_path / "tokens.json").revoke("ann")
    if script == "mqttjs.js":
        assert viewer.next("disconnect")["code"] == 0x87
        viewer.next("closed")
    else:
        assert viewer.next("error")["headers"]["code"] == "not-authenticated"
        assert viewer.next("closed")["code"] == 4401
