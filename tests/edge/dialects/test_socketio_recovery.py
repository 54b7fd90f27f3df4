"""What Socket.IO clients left behind."""

import json

from support.conversation import Client, House

from gateway.edge.commands import ReplayCount, ReplayFrom, Subscribe
from gateway.edge.dialects.socketio_recovery import KEPT, MOST, Recovery


def test_a_replay_that_never_ended_begins_anew():
    kept = Recovery().begin("p", "s", "e1:0")
    kept.wishes = {
        "done": Subscribe(topics=["done", "other"], mode="latest", interval=2.0),
        "cut": Subscribe(topics=["cut"], replay=ReplayCount(5)),
    }
    kept.settled = {"done"}
    done, cut = kept.again("e1:7")
    assert (done.topics, done.mode, done.interval, done.replay) == (["done"], "latest", 2.0, ReplayFrom("e1", 7))
    assert (cut.topics, cut.replay) == (["cut"], ReplayCount(5))


def test_what_one_command_asked_for_is_asked_for_by_one_again():
    """A hundred filters whose replay was cut came back as a hundred commands: more than a client may send at once."""
    kept = Recovery().begin("p", "s", "e1:0")
    one, other = (
        Subscribe(topics=["a", "b", "c"], replay=ReplayCount(5)),
        Subscribe(topics=["d"], replay=ReplayCount(5)),
    )
    kept.wishes = {"a": one, "d": other, "c": one}
    assert [(command.topics, command.replay) for command in kept.again("e1:7")] == [
        (["a", "c"], ReplayCount(5)),
        (["d"], ReplayCount(5)),
    ]
    assert one.topics == ["a", "b", "c"]


def test_an_offset_that_is_none_means_last_values():
    kept = Recovery().begin("p", "s", "e1:0")
    kept.wishes, kept.settled = {"t": Subscribe(topics=["t"])}, {"t"}
    assert [command.replay for command in kept.again("count:5")] == ["last"]
    assert [command.replay for command in kept.again("nonsense")] == ["last"]


def test_who_is_gone_for_long_is_forgotten_and_who_is_here_is_not():
    recovery = Recovery()
    recovery.begin("gone", "s", "e1:0")
    recovery.begin("here", "s", "e1:0")
    recovery.seen("gone", 0.0)
    recovery.seen("here", KEPT + 1)
    assert recovery.find("gone") is None
    assert recovery.find("here") is not None


def test_there_are_never_too_many():
    recovery = Recovery()
    for number in range(MOST + 10):
        recovery.begin(str(number), "s", "e1:0")
    assert len(recovery) == MOST
    assert recovery.find("0") is None
    assert recovery.find(str(MOST + 9)) is not None


def events_of(frames: list[bytes]) -> list[list]:
    return [json.loads(frame[2:]) for frame in frames if frame.startswith(b"42[")]


def come(house: House, **auth: str) -> tuple[Client, str, list[list]]:
    client = house.client("/socket.io/")
    client.heard()
    [connected, *rest] = client.say("40" + (json.dumps(auth) if auth else ""))
    return client, json.loads(connected[2:])["pid"], events_of(rest)


def test_no_mark_goes_beyond_what_a_replay_under_way_still_carries():
    """By the marks of live messages a client that was cut lost what came for another subscription, without a gap."""
    house = House()
    client, pid, _ = come(house)
    client.say('42["subscribe",{"topics":["t"],"replay":"none"}]')
    house.publish("t")
    [[_, told, mark]] = events_of(client.heard())
    assert (told["offset"], mark) == (1, "e1:1")
    client.line.queued = True
    client.say('42["subscribe",{"topics":["u"]}]')
    house.publish("u")
    house.publish("t")
    [[name, told, *mark]] = events_of(client.heard())
    assert (name, told["offset"], mark) == ("message", 3, [])
    # Its replay goes out, and is lost on its way with all that is behind it.
    client.line.queued = False
    client.session.drained()
    assert [told["offset"] for name, told, *_ in events_of(client.heard()) if name == "message"] == [2]
    house.publish("t")
    assert events_of(client.heard())[0][2] == "e1:4"
    client.session.end()
    _, same, told = come(house, pid=pid, offset="e1:1")
    assert same == pid
    assert [told["offset"] for name, told, *_ in told if name == "message"] == [2, 3, 4]
