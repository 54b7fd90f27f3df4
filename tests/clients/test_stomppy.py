"""stomp.py, unmodified, over WSS."""

import queue
from contextlib import contextmanager

import pytest
import stomp


class Listener(stomp.ConnectionListener):
    """Puts what happens into a queue."""

    def __init__(self):
        self.heard = queue.Queue()

    def on_connected(self, frame):
        self.heard.put(("connected", frame.headers["version"]))

    def on_message(self, frame):
        self.heard.put((frame.headers["destination"], frame.body))

    def on_receipt(self, frame):
        self.heard.put(("receipt", frame.headers["receipt-id"]))

    def on_error(self, frame):
        self.heard.put(("error", frame.headers["code"]))

    def on_disconnected(self):
        self.heard.put(("disconnected", None))


@pytest.fixture
def connect(certificate):
    """A context manager: a stomp.py client of a gateway, and what it hears."""

    @contextmanager
    def run(daemon):
        place = ("localhost", daemon.port)
        # It offers no subprotocol of its own.
        client = stomp.WSStompConnection(
            [place],
            ws_path="/stomp",
            header={"Sec-WebSocket-Protocol": "v12.stomp"},
            heartbeats=(10_000, 10_000),
            try_loopback_connect=False,
        )
        client.set_ssl([place], ca_certs=str(certificate.ca))
        listener = Listener()
        client.set_listener("", listener)
        client.connect(wait=True)
        try:
            yield client, lambda: listener.heard.get(timeout=15)
        finally:
            if client.is_connected():
                client.disconnect()
            client.transport.stop()

    return run


def test_ten_thousand_messages_come_in_order(secure_gateway, connect, publisher):
    with connect(secure_gateway()) as (client, heard):
        assert heard() == ("connected", "1.2")
        client.subscribe("/topic/sensors.#", id="s", headers={"receipt": "r"})
        assert heard() == ("receipt", "r")
        publisher.burst("sensors/a", 10_000)
        assert [heard() for _ in range(10_000)] == [("/topic/sensors.a", str(n)) for n in range(10_000)]


def test_a_forbidden_topic_is_an_error_and_the_end(secure_gateway, connect):
    with connect(secure_gateway()) as (client, heard):
        heard()
        client.subscribe("secret/#", id="s")
        assert heard() == ("error", "forbidden")
        assert heard()[0] == "disconnected"
