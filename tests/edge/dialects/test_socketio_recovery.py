"""What Socket.IO clients left behind."""

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
