"""stomp.py, unmodified, over WSS."""

import json
import queue
import threading
from contextlib import contextmanager

import pytest
import stomp


class Listener(stomp.ConnectionListener):
    """Puts what happens into a queue; reads no further while `reading` is not set."""

    def __init__(self):
        self.heard = queue.Queue()
        self.reading = threading.Event()
        self.reading.set()

    def on_connected(self, frame):
        self.heard.put(("connected", frame.headers["version"]))

    def on_message(self, frame):
        self.heard.put((frame.headers["destination"], frame.body))
        self.reading.wait(60)

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
        client.reading = listener.reading
        try:
            yield client, lambda: listener.heard.get(timeout=15)
        finally:
            listener.reading.set()
            if client.is_connected():
                client.disconnect()
            client.transport.stop()

    return run


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_client_that_was_too_slow_knows_what_it_missed(secure_gateway, connect, publisher, flood_through):
    daemon = secure_gateway(slow=True)
    with connect(daemon) as (client, heard):
        heard()
        client.subscribe("/gateway/events", id="events", headers={"receipt": "r"})
        client.subscribe("flood/#", id="s", headers={"receipt": "s"})
        assert {heard(), heard()} == {("receipt", "r"), ("receipt", "s")}
        client.reading.clear()
        total = flood_through(daemon)
        client.reading.set()
        numbers, missed = [], 0
        while (told := heard())[0] != "flood/end":
            fields = json.loads(told[1])
            if told[0] == "/gateway/events":
                missed += fields["count"] if fields["type"] == "gap" else 0
            else:
                numbers.append(fields["number"])
        assert numbers == sorted(numbers)
        assert missed > 0
        assert len(numbers) + missed == total - 1


def test_it_comes_back_after_a_restart(secure_gateway, connect, publisher):
    daemon = secure_gateway()
    with connect(daemon) as (client, heard):
        heard()
        daemon.stop()
        assert heard()[0] == "disconnected"
        daemon.start()
        client.connect(wait=True)
        assert heard() == ("connected", "1.2")
        client.subscribe("/topic/sensors.#", id="s", headers={"receipt": "r"})
        assert heard() == ("receipt", "r")
        publisher.publish("sensors/a", "after")
        assert heard() == ("/topic/sensors.a", "after")
