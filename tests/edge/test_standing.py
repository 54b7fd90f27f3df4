"""What stands now is told to whoever comes, behind the snapshot, as fast as the socket takes it, as the role allows."""

from support.talk import Talk

from gateway.edge import events
from gateway.edge.standing import MOST, PORTION, Telling
from gateway.hub.freshness import Change


def talk_with(devices=1, stale=1, **options) -> Talk:
    talk = Talk(**options)
    standing = talk.room.standing
    for number in range(devices):
        standing.device(f"home/{number}/state", events.Device(device=f"d{number}", state="offline", since=5.0))
    standing.stale = lambda: [Change(f"home/{number}/value", True, 50.0, 30.0) for number in range(stale)]
    return talk


def test_the_state_comes_behind_the_snapshot_once():
    talk = talk_with()
    talk.publish("home/0/value")
    talk.say(type="subscribe", id=1, topics=["home/#"])
    talk.settle()
    kinds = [told["type"] for told in talk.told]
    assert kinds == ["welcome", "ok", "message", "replayed", "device", "stale"]
    assert talk.of("stale") == [{"type": "stale", "topic": "home/0/value", "age": 50.0, "stale_after": 30.0}]
    talk.say(type="subscribe", id=2, topics=["other"])
    talk.settle()
    assert len(talk.of("stale")) == 1


def test_only_topics_of_the_subscription_and_the_role_are_told():
    talk = talk_with(devices=3, stale=3, deny=("home/2/#",))
    talk.say(type="subscribe", id=1, topics=["home/1/#", "home/2/#"], replay="none")
    talk.settle()
    assert [told["device"] for told in talk.of("device")] == ["d1"]
    assert [told["topic"] for told in talk.of("stale")] == ["home/1/value"]


def test_much_of_it_goes_only_as_fast_as_the_socket_takes_it():
    talk = talk_with(devices=2000, stale=2000)
    talk.line.blocked = True
    talk.say(type="subscribe", id=1, topics=["#"], replay="none")
    for _ in range(50):
        talk.turn()
    assert talk.line.largest < 100_000
    talk.settle()
    assert (len(talk.of("device")), len(talk.of("stale"))) == (2000, 2000)


def test_what_nobody_wants_is_looked_through_in_portions_too():
    talk = talk_with(devices=2000, stale=2000)
    asked = []
    news = talk.room.standing.told(lambda topic: bool(asked.append(topic)))
    telling = Telling(news, tell=lambda event: None, ready=lambda: True)
    assert telling.step()
    assert len(asked) == PORTION
    while telling.step():
        pass
    assert (len(asked), telling.over) == (4000, True)


def test_devices_remembered_are_bounded():
    talk = talk_with(devices=25_000, stale=0)
    assert len(list(talk.room.standing.told(lambda topic: True))) == MOST
