import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.handover import OPERATIONS, TURNS, loses_nothing_and_repeats_nothing, stays_in_order
from support.replaying import ReplayConformance
from support.talk import Talk

from gateway.hub.log import Page


@settings(max_examples=400, deadline=None)
@given(OPERATIONS, st.sampled_from((None, 0, 10, 400)))
@example(
    [
        ("subscribe", "a/x", "none"),
        ("publish", "a/x", 300),
        ("subscribe", "#", "resume"),
        ("block",),
        ("publish", "a/x", 3),
        ("unsubscribe", "a/x"),
        ("publish", "a/x", 3),
    ],
    None,
)
def test_the_hand_over_from_replay_to_live_loses_nothing_and_repeats_nothing(operations, late):
    loses_nothing_and_repeats_nothing(Talk(late=late), operations)


@settings(max_examples=100, deadline=None)
@given(TURNS, st.booleans())
def test_one_subscription_sees_offsets_in_order_under_concurrent_publishing(operations, late):
    stays_in_order(Talk(late=100 if late else None), operations)


def test_live_clients_have_their_turn_while_a_replay_finds_nothing():
    talk = Talk()
    talk.publish("t", count=20_000)
    talk.say(type="subscribe", id=1, topics=["other"], replay={"epoch": "e", "offset": 0})
    step = talk.desk._clock
    readings = iter(range(10**9))
    talk.desk._clock = lambda: next(readings) * 0.001
    turns = 0
    while talk.turns:
        talk.turn()
        turns += 1
    talk.desk._clock = step
    assert turns > 10
    assert len(talk.of("replayed")) == 1


def test_frames_kept_for_replays_are_bounded():
    talk = Talk()
    talk.publish("t", b'"' + b"x" * 2000 + b'"', count=5000)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    talk.settle()
    assert 0 < talk.desk.frames.size <= talk.desk.frames.memory


def test_what_has_expired_is_named_in_a_gap():
    talk = Talk(limit=100_000)
    talk.publish("t", count=1000)
    for _ in range(10):
        talk.publish("t", count=100)
    oldest = talk.log.oldest
    assert oldest > 1
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 5})
    talk.settle()
    [gap] = talk.of("gap")
    assert (gap["from"], gap["to"], gap["count"], gap["reason"]) == (6, oldest - 1, None, "history-expired")
    assert talk.offsets == list(range(oldest, 2001))
    assert talk.of("replayed")[0]["complete"] is False


@pytest.mark.parametrize("late", [None, 0])
def test_what_expired_but_is_a_last_value_still_is_told_behind_the_gap(late):
    talk = Talk(limit=100_000, late=late)
    talk.publish("silent")
    talk.publish("t", count=1000)
    talk.publish("quiet")
    for _ in range(20):
        talk.publish("t", count=100)
    talk.say(type="subscribe", id=1, topics=["#"], replay={"epoch": "e", "offset": 0})
    talk.settle()
    oldest = talk.log.oldest
    kinds = [each["type"] for each in talk.told]
    assert kinds.index("gap") < kinds.index("message")
    assert talk.offsets == [1, 1002, *range(oldest, 3003)]
    assert [each["replay"] for each in talk.of("message")] == [True] * len(talk.offsets)


def test_age_is_found_by_a_log_that_answers_late():
    talk = Talk(late=10)
    for _ in range(100):
        talk.now += 10
        talk.publish("t")
        talk.publish("u")
    talk.say(type="subscribe", id=2, topics=["u"], replay={"age": 100})
    talk.settle()
    assert 10 <= len(talk.offsets) <= 12


def test_one_clients_fault_does_not_end_the_turns_of_the_others():
    talk = Talk()
    talk.publish("t", count=1000)

    class Broken:
        def step(self):
            raise RuntimeError("a fault")

    talk.desk.add(Broken())
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    with pytest.raises(RuntimeError):
        talk.turn()
    talk.settle()
    assert len(talk.offsets) == 1000


def test_offsets_that_named_nothing_count_nothing_and_leave_a_replay_complete():
    talk = Talk()
    talk.publish("t", count=10)
    read = talk.log.read

    def with_a_hole(after, until, wanted, take):
        if after < 4:
            take(Page([], 4, (1, 4), "restart", empty=True))
        else:
            read(after, until, wanted, take)

    talk.log.read = with_a_hole
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    talk.settle()
    assert [(gap["from"], gap["to"], gap["count"]) for gap in talk.of("gap")] == [(1, 4, 0)]
    assert talk.of("replayed")[0]["complete"] is True
    assert talk.offsets == [5, 6, 7, 8, 9, 10]


class TestReplaysFromMemory(ReplayConformance):
    make_talk = staticmethod(Talk)
