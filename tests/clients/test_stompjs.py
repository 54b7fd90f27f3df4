"""@stomp/stompjs, unmodified, over WSS."""

import json

import pytest


@pytest.fixture
def viewer(client):
    """A function that connects stompjs to a gateway."""

    def connect(daemon, **options):
        return client("stompjs.js", url=f"wss://localhost:{daemon.port}/stomp", **options)

    return connect


@pytest.mark.parametrize(("ack", "count"), [("auto", 10_000), ("client-individual", 2_000)])
def test_thousands_of_messages_come_in_order(secure_gateway, viewer, publisher, ack, count):
    client = viewer(secure_gateway())
    assert client.next("connected")["headers"]["version"] == "1.2"
    client.do("subscribe", id="s", destination="/topic/sensors.+.count", headers={"ack": ack})
    client.next("subscribed")
    publisher.burst("sensors/a/count", count)
    got = client.many(count)
    assert [int(message["body"]) for message in got] == list(range(count))
    assert {message["destination"] for message in got} == {"/topic/sensors.a.count"}


def test_each_subscription_has_its_own_copy_under_its_own_destination(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway())
    client.next("connected")
    client.do("subscribe", id="dots", destination="/topic/sensors.*")
    client.do("subscribe", id="slashes", destination="sensors/#")
    client.next("subscribed")
    client.next("subscribed")
    publisher.publish("sensors/a", "21.5 ℃")
    got = sorted((m["id"], m["destination"], m["topic"], m["body"]) for m in client.many(2))
    assert got == [
        ("dots", "/topic/sensors.a", "sensors/a", "21.5 ℃"),
        ("slashes", "sensors/a", "sensors/a", "21.5 ℃"),
    ]


def test_it_goes_on_after_an_offset(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway())
    epoch = client.next("connected")["headers"]["epoch"]
    client.do("subscribe", id="first", destination="t")
    client.next("subscribed")
    publisher.burst("t", 100)
    got = client.many(100)
    client.do("subscribe", id="again", destination="t", headers={"epoch": epoch, "offset": str(got[89]["offset"])})
    publisher.publish("t", "100")
    # Each its own: the first has had what the other goes on from.
    told = [(m["id"], int(m["body"])) for m in client.many(12)]
    assert [number for id, number in told if id == "again"] == list(range(90, 101))
    assert [number for id, number in told if id == "first"] == [100]


def test_what_is_forbidden_is_an_error_and_the_end(secure_gateway, viewer):
    client = viewer(secure_gateway())
    client.next("connected")
    client.do("subscribe", id="s", destination="/topic/secret.x")
    error = client.next("error")
    assert error["headers"]["code"] == "forbidden"
    assert error["headers"]["receipt-id"].startswith("receipt-s-")
    assert client.next("closed")["code"] == 4403


def test_a_receipt_says_that_the_broker_has_it(secure_gateway, viewer):
    client = viewer(secure_gateway())
    client.next("connected")
    client.do("subscribe", id="s", destination="commands/#")
    client.next("subscribed")
    client.do("publish", destination="/topic/commands.lamp", body="on", receipt="r1")
    kinds = {event["event"]: event for event in (client.next("receipt", "message"), client.next("receipt", "message"))}
    assert kinds["receipt"]["receipt"] == "r1"
    assert (kinds["message"]["topic"], kinds["message"]["body"]) == ("commands/lamp", "on")


@pytest.mark.slow
def test_a_client_that_was_too_slow_knows_what_it_missed(secure_gateway, viewer, publisher, flood):
    client = viewer(secure_gateway(slow=True))
    client.next("connected")
    client.do("subscribe", id="events", destination="/gateway/events")
    client.do("subscribe", id="s", destination="flood/#")
    client.next("subscribed")
    client.next("subscribed")
    client.do("block", seconds=4)
    total = flood()
    offsets, missed = [], 0
    while (message := client.next("message", seconds=30)).get("topic") != "flood/end":
        if message["id"] == "events":
            told = json.loads(message["body"])
            missed += told["count"] if told["type"] == "gap" else 0
        else:
            offsets.append(message["offset"])
    assert offsets == sorted(offsets)
    assert missed > 0
    assert len(offsets) + missed == total - 1


def test_unacknowledged_messages_hold_the_others_back(secure_gateway, viewer, publisher):
    client = viewer(secure_gateway(slow=True))
    client.next("connected")
    client.do("subscribe", id="s", destination="held/#", headers={"ack": "client-individual"}, hold=True)
    client.next("subscribed")
    for number in range(110):
        publisher.publish(f"held/{number}", "x" * 4096)
    held = len([client.next("message") for _ in range(110)])
    for number in range(110, 300):
        publisher.publish(f"held/{number}", "x" * 4096)
    while True:
        try:
            client.next("message", seconds=2)
        except AssertionError:
            break
        held += 1
    assert held < 130, "hard is 512 KiB, a message 4 KiB"
    client.do("acknowledge")
    while client.next("message")["topic"] != "held/299":
        pass


def test_it_comes_back_by_itself_after_a_restart(secure_gateway, viewer, publisher):
    daemon = secure_gateway()
    client = viewer(daemon, reconnect=200)
    first = client.next("connected")
    client.do("subscribe", id="s", destination="sensors/#")
    client.next("subscribed")
    daemon.stop()
    client.next("closed")
    daemon.start()
    assert client.next("connected")["headers"]["epoch"] != first["headers"]["epoch"]
    client.next("subscribed")
    publisher.publish("sensors/a", "after")
    assert client.next("message")["body"] == "after"
