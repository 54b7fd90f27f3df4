"""MQTT.js, unmodified, over WSS."""

import json

import pytest


@pytest.fixture
def viewer(client):
    """A function that connects MQTT.js to a gateway."""

    def connect(daemon, **options):
        return client("mqttjs.js", url=f"wss://localhost:{daemon.port}/mqtt", **options)

    return connect


@pytest.mark.parametrize(("version", "qos"), [(4, 0), (5, 1)], ids=["3.1.1, QoS 0", "5, QoS 1"])
@pytest.mark.slow
def test_ten_thousand_messages_come_in_order(secure_gateway, viewer, publisher, version, qos):
    client = viewer(secure_gateway(), version=version)
    assert client.next("connected")["sessionPresent"] is False
    client.do("subscribe", topic="sensors/+/count", options={"qos": qos})
    assert client.next("subscribed")["granted"] == [qos]
    publisher.burst("sensors/a/count", 10_000)
    got = client.many(10_000)
    assert [int(message["body"]) for message in got] == list(range(10_000))
    assert {message["qos"] for message in got} == {qos}


def test_last_values_are_retained_messages_and_identifiers_name_the_subscription(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway(), version=5)
    client.next("connected")
    client.do("subscribe", topic="a/#", options={"qos": 0, "properties": {"subscriptionIdentifier": 7}})
    client.next("subscribed")
    publisher.publish("a/b", "1")
    live = client.next("message")
    assert (live["topic"], live["body"], live["retain"], live["identifiers"]) == ("a/b", "1", False, 7)
    client.do("subscribe", topic="+/b", options={"qos": 0, "properties": {"subscriptionIdentifier": 8}})
    again = client.next("message")
    assert (again["body"], again["retain"], again["identifiers"]) == ("1", True, 8)
    publisher.publish("a/b", "2")
    assert sorted(client.next("message")["identifiers"]) == [7, 8]


def test_what_is_refused_has_its_code(secure_gateway, viewer):
    client = viewer(secure_gateway(), version=5)
    client.next("connected")
    client.do("subscribe", topic=["open/#", "secret/x", "$share/group/a"])
    assert client.next("subscribed")["granted"] == [0, 0x87, 0x9E]
    client.do("publish", topic="sensors/a", body="1", qos=1)
    assert client.next("published")["code"] == 0x87
    client.do("publish", topic="commands/a", body="on", qos=1)
    assert "code" not in client.next("published")


def test_a_forbidden_topic_fails_in_311_too(secure_gateway, viewer):
    client = viewer(secure_gateway(), version=4)
    client.next("connected")
    client.do("subscribe", topic=["open/#", "secret/x"])
    assert client.next("subscribed")["granted"] == [0, 0x80]


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.slow
def test_a_client_that_was_too_slow_ends_with_the_newest_values(secure_gateway, viewer, publisher, flood, qos):
    client = viewer(secure_gateway(slow=True), version=5)
    client.next("connected")
    client.do("subscribe", topic="flood/#", options={"qos": qos})
    client.next("subscribed")
    client.do("block", seconds=4)
    total = flood()
    numbers = []
    while (message := client.next("message", seconds=30))["topic"] != "flood/end":
        numbers.append(json.loads(message["body"])["number"])
    assert numbers == sorted(numbers)
    assert {2997, 2998, 2999} <= set(numbers)
    assert len(numbers) < total - 1


def test_it_comes_back_by_itself_after_a_restart(secure_gateway, viewer, publisher):
    daemon = secure_gateway()
    client = viewer(daemon, version=5, reconnect=200)
    client.next("connected")
    client.do("subscribe", topic="sensors/#", options={"qos": 1})
    client.next("subscribed")
    publisher.publish("sensors/a", "before", retain=True)
    assert client.next("message")["body"] == "before"
    daemon.stop()
    assert client.next("disconnect")["code"] == 0x8B
    daemon.start()
    client.next("connected", seconds=20)
    with publisher.rhythm(10, lambda number: ("sensors/a", "after")):
        # What the broker retains comes first, to a gateway that has just begun.
        while (body := client.next("message")["body"]) == "before":
            continue
        assert body == '"after"'
