"""socket.io-client, unmodified, over WSS."""

import pytest


@pytest.fixture
def viewer(client):
    """A function that connects socket.io-client to a gateway."""

    def connect(daemon, **options):
        return client("socketio.js", url=f"wss://localhost:{daemon.port}", **options)

    return connect


def emit(client, name, *arguments):
    """The answer to an event."""
    client.do("emit", name=name, arguments=arguments)
    return client.next("answer")["answer"]


@pytest.mark.slow
def test_ten_thousand_messages_come_in_order(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway())
    assert client.next("connected")["recovered"] is False
    answer = emit(client, "subscribe", "sensors/+/count")
    assert answer["subscribed"] == [{"filter": "sensors/+/count", "granted": True, "reason": None}]
    publisher.burst("sensors/a/count", 10_000)
    assert [message["body"]["data"] for message in client.many(10_000)] == list(range(10_000))


def test_what_is_refused_says_why(secure_gateway, viewer):
    client = viewer(secure_gateway())
    client.next("connected")
    assert emit(client, "subscribe", {"topics": ["secret/#"]})["code"] == "forbidden"
    assert emit(client, "publish", {"topic": "sensors/a", "data": 1})["code"] == "forbidden"
    assert emit(client, "dance", {})["code"] == "unknown-type"


def test_it_publishes_objects_and_bytes(secure_gateway, viewer):
    client = viewer(secure_gateway())
    client.next("connected")
    emit(client, "subscribe", "commands/#")
    assert emit(client, "publish", "commands/lamp", {"on": True})["published"] == "commands/lamp"
    assert client.next("message")["body"]["data"] == {"on": True}
    client.do("bytes", topic="commands/raw", text="raw")
    assert client.next("message")["body"] | {"data": "raw", "encoding": "text"} == client.seen[-1]["body"]


def test_a_connection_that_was_cut_is_recovered_without_a_gap(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway(), reconnect=100)
    client.next("connected")
    emit(client, "subscribe", "sensors/#")
    publisher.publish("sensors/a", "0")
    got = [client.next("message")["body"]["data"]]
    for cut in range(3):
        client.do("cut")
        client.next("closed")
        publisher.burst("sensors/a", 50)
        assert client.next("connected")["recovered"] is True
        got += [message["body"]["data"] for message in client.many(50)]
        assert got[-50:] == list(range(50)), f"cut {cut}"


def test_after_a_restart_it_comes_back_and_knows_that_it_begins_anew(secure_gateway, viewer, publisher):
    daemon = secure_gateway()
    client = viewer(daemon, reconnect=100)
    client.next("connected")
    emit(client, "subscribe", "sensors/#")
    publisher.publish("sensors/a", "1")
    client.next("message")
    daemon.stop()
    assert client.next("closing")["body"]["reason"] == "gateway is stopping"
    daemon.start()
    assert client.next("connected")["recovered"] is False
    emit(client, "subscribe", "sensors/#")
    publisher.publish("sensors/a", "2")
    while client.next("message")["body"]["data"] != 2:
        pass


@pytest.mark.slow
def test_a_client_that_was_too_slow_knows_what_it_missed(secure_gateway, viewer, publisher, flood):
    client = viewer(secure_gateway(slow=True))
    client.next("connected")
    emit(client, "subscribe", "flood/#")
    client.do("block", seconds=4)
    total = flood()
    offsets, missed = [], 0
    while (event := client.next("message", "gap", seconds=30))["body"].get("topic") != "flood/end":
        if event["event"] == "gap":
            missed += event["body"]["count"]
        else:
            offsets.append(event["body"]["offset"])
    assert offsets == sorted(offsets)
    assert missed > 0
    assert len(offsets) + missed == total - 1


def test_polling_is_refused_by_name(secure_gateway, viewer):
    client = viewer(secure_gateway(), transports=["polling"])
    assert "xhr poll error" in client.next("error")["message"]
