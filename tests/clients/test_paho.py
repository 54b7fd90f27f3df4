"""paho-mqtt with transport="websockets", unmodified, over WSS."""

import json
import queue
import threading
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion


@pytest.fixture
def connect(certificate):
    """A context manager: a paho client of a gateway, and the queue of what it hears."""

    @contextmanager
    def run(daemon, protocol):
        heard = queue.Queue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="websockets", protocol=protocol)
        client.tls_set(ca_certs=str(certificate.ca))
        client.on_connect = lambda *a: heard.put(("connected", str(a[3])))
        client.on_subscribe = lambda *a: heard.put(("subscribed", [code.value for code in a[3]]))
        reading = client.reading = threading.Event()
        reading.set()

        def on_message(_client, _userdata, message):
            heard.put((message.topic, message.payload))
            reading.wait(60)

        client.on_message = on_message
        client.on_publish = lambda *a: heard.put(("published", a[3].value))
        client.on_disconnect = lambda *a: heard.put(("disconnected", str(a[3])))
        client.connect("localhost", daemon.port)
        client.loop_start()
        try:
            yield client, lambda: heard.get(timeout=15)
        finally:
            reading.set()
            client.disconnect()
            client.loop_stop()
            # Only the end of its life closes the pair of sockets by which it wakes its own thread.
            del client

    return run


@pytest.mark.slow
def test_ten_thousand_messages_come_in_order(secure_gateway, connect, publisher):
    with connect(secure_gateway(), mqtt.MQTTv5) as (client, heard):
        assert heard() == ("connected", "Success")
        client.subscribe("sensors/#", qos=1)
        assert heard() == ("subscribed", [1])
        publisher.burst("sensors/a", 10_000)
        assert [heard() for _ in range(10_000)] == [("sensors/a", str(n).encode()) for n in range(10_000)]


def test_a_forbidden_topic_is_refused(secure_gateway, connect):
    with connect(secure_gateway(), mqtt.MQTTv5) as (client, heard):
        heard()
        client.subscribe([("secret/#", 0), ("open/#", 2)])
        assert heard() == ("subscribed", [0x87, 1])
        client.publish("sensors/a", "1", qos=1)
        assert heard() == ("published", 0x87)


def test_it_comes_back_after_a_restart(secure_gateway, connect, publisher):
    daemon = secure_gateway()
    with connect(daemon, mqtt.MQTTv311) as (client, heard):
        assert heard()[0] == "connected"
        daemon.stop()
        assert heard()[0] == "disconnected"
        daemon.start()
        assert heard()[0] == "connected"
        client.subscribe("sensors/#")
        heard()
        publisher.publish("sensors/a", "after")
        assert heard() == ("sensors/a", b"after")


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.slow
def test_a_client_that_was_too_slow_knows_what_it_missed(secure_gateway, connect, publisher, flood_through, qos):
    daemon = secure_gateway(slow=True)
    with connect(daemon, mqtt.MQTTv5) as (client, heard):
        heard()
        client.subscribe([("$gateway/events", 0), ("flood/#", qos)])
        assert heard() == ("subscribed", [0, qos])
        client.reading.clear()
        total = flood_through(daemon)
        client.reading.set()
        numbers, missed = [], 0
        while (told := heard())[0] != "flood/end":
            fields = json.loads(told[1])
            if told[0] == "$gateway/events":
                missed += fields["count"] if fields["type"] == "gap" else 0
            else:
                numbers.append(fields["number"])
        assert numbers == sorted(numbers)
        assert missed > 0
        assert len(numbers) + missed == total - 1
