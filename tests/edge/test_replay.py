from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.handover import OPERATIONS, TURNS, loses_nothing_and_repeats_nothing, stays_in_order
from support.talk import Talk

from gateway.edge.dialects.native import NativeJson
from gateway.hub.log import BLOCK, Page


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


def test_overlapping_subscriptions_that_are_resumed_together_tell_each_message_once():
    talk = Talk()
    for topic in ("a/x", "b", "a/y", "a/x"):
        talk.publish(topic)
    talk.say(type="subscribe", id=1, topics=["a/+"], replay={"epoch": "e", "offset": 1})
    talk.say(type="subscribe", id=2, topics=["#"], replay={"epoch": "e", "offset": 0}, mode="latest")
    talk.settle()
    assert sorted(talk.offsets) == [1, 2, 3, 4]
    assert [(each["id"], each["count"]) for each in talk.of("replayed")] == [(1, 2), (2, 2)]


def test_a_replay_waits_for_the_socket_page_by_page():
    talk = Talk()
    talk.publish("t", b'"' + b"x" * 1000 + b'"', count=5000)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    talk.line.blocked = True
    for _ in range(100):
        talk.turn()
    assert talk.line.largest < 256 * 1024
    assert len(talk.offsets) < BLOCK
    talk.settle()
    assert len(talk.offsets) == 5000


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


def test_frames_are_encoded_once_for_clients_that_come_back_together():
    talk = Talk()
    talk.publish("t", count=1000)
    for number in range(3):
        talk.say(type="subscribe", id=number, topics=["t"], replay={"epoch": "e", "offset": 0})
        talk.settle()
        talk.say(type="unsubscribe", id=0, topics=["t"])
    assert len(talk.offsets) == 3000
    assert talk.desk.frames.encoded == 1000


def test_live_messages_never_go_back_though_what_was_live_has_ended_under_way():
    talk = Talk()
    talk.say(type="subscribe", id=1, topics=["a"], replay="none")
    talk.say(type="subscribe", id=2, topics=["a", "#"])
    talk.publish("b")
    talk.publish("a")
    talk.say(type="subscribe", id=3, topics=["a"], replay="none")
    talk.settle()
    live = [each["offset"] for each in talk.of("message") if "replay" not in each]
    assert sorted(talk.offsets) == [1, 2]
    assert live == sorted(live)


def test_a_replay_that_is_called_off_ends_incomplete():
    talk = Talk()
    talk.publish("t", count=2000)
    talk.line.blocked = True
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    talk.say(type="subscribe", id=2, topics=["t", "u"], replay={"count": 5})
    talk.say(type="unsubscribe", id=3, topics=["t"])
    talk.settle()
    assert [(each["id"], each["complete"]) for each in talk.of("replayed")] == [(1, False), (2, True)]
    assert talk.offsets == []


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


@pytest.mark.parametrize("replay", [{"epoch": "e", "offset": 10}, {"epoch": "other", "offset": 0}])
def test_a_resume_from_elsewhere_is_a_gap_and_the_last_values(replay):
    talk = Talk()
    talk.publish("t", count=5)
    talk.say(type="subscribe", id=1, topics=["t"], replay=replay)
    talk.settle()
    assert [each["type"] for each in talk.told[1:]] == ["gap", "ok", "message", "replayed"]
    assert talk.of("gap")[0]["reason"] == "restart"
    assert talk.of("replayed")[0]["complete"] is False


def test_a_thinned_resume_tells_the_last_values_first_and_accounts_for_the_rest():
    talk = Talk(late=50)
    for number in range(600):
        talk.now += 1
        talk.publish(f"t/{number % 2}", str(number).encode())
    talk.publish("other")
    talk.say(type="subscribe", id=1, topics=["t/+"], replay={"epoch": "e", "offset": 100, "points": 10})
    talk.settle()
    messages = talk.of("message")
    assert [m["offset"] for m in messages[:2]] == [599, 600]
    thinned = [m["offset"] for m in messages[2:]]
    assert thinned == sorted(thinned)
    assert min(thinned) > 100
    for topic in ("t/0", "t/1"):
        mine = [m["offset"] for m in messages if m["topic"] == topic]
        assert 10 <= len(mine) <= 11
        # Evenly spread over the time that was missed.
        assert max(b - a for a, b in zip(sorted(mine), sorted(mine)[1:], strict=False)) <= 102
    [gap] = talk.of("gap")
    assert gap["reason"] == "interval"
    assert gap["count"] + len(messages) == 500
    assert sum(gap["topics"].values()) == gap["count"]
    talk.publish("t/0")
    talk.settle()
    assert talk.offsets[-1] == 602


def test_the_resume_mark_stays_below_what_a_replay_still_owes():
    talk = Talk()
    talk.publish("a", count=1000)
    talk.say(type="subscribe", id=1, topics=["a"], replay={"epoch": "e", "offset": 100})
    assert talk.session.mark == 100
    talk.turn()
    talk.line.blocked = True
    talk.settle()
    assert talk.session.mark == 1000
    talk.line.blocked = True
    talk.say(type="subscribe", id=2, topics=["#"], replay="last")
    assert talk.session.mark < 1000


def test_count_and_age_are_found_by_a_log_that_answers_late():
    talk = Talk(late=10)
    for _ in range(100):
        talk.now += 10
        talk.publish("t")
        talk.publish("u")
    talk.say(type="subscribe", id=1, topics=["t"], replay={"count": 30})
    talk.settle()
    assert len(talk.offsets) == 30
    talk.say(type="subscribe", id=2, topics=["u"], replay={"age": 100})
    talk.settle()
    assert 10 <= len(talk.offsets) - 30 <= 12


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


class Copying(NativeJson):
    copies = True


@pytest.mark.parametrize(("dialect", "times"), [(NativeJson(), 1), (Copying(), 2)])
def test_what_comes_during_two_replays_comes_by_each_where_subscriptions_have_copies(dialect, times):
    talk = Talk(dialect=dialect)
    talk.publish("t", count=1000)
    talk.line.blocked = True
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": "e", "offset": 0})
    talk.say(type="subscribe", id=2, topics=["+"], replay={"epoch": "e", "offset": 1000})
    talk.turn()
    talk.publish("t", count=10)
    talk.settle()
    counted = Counter(talk.offsets)
    assert {counted[offset] for offset in range(1, 1001)} == {1}
    assert {counted[offset] for offset in range(1001, 1011)} == {times}
