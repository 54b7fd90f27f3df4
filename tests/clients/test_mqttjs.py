"""MQTT.js, unmodified, over WSS."""

import pytest

VERSIONS = pytest.mark.parametrize("version", [4, 5], ids=["3.1.1", "5"])


def url(daemon):
    return f"wss://localhost:{daemon.port}/mqtt"


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1])
def test_ten_thousand_messages_come_in_order(secure_gateway, client, publisher, version, qos):
    daemon = secure_gateway()
    viewer = client("mqttjs.js", url=url(daemon), version=version)
    assert viewer.next("connected")["sessionPresent"] is False
    viewer.do("subscribe", topic="sensors/+/count", options={"qos": qos})
    assert viewer.next("subscribed")["granted"] == [qos]
    publisher.burst("sensors/a/count", 10_000)
    got = viewer.many(10_000)
    assert [int(message["body"]) for message in got] == list(range(10_000))
    assert {message["qos"] for message in got} == {qos}
