"""Last values are found a slice at a time, told in offset order, and never before what is newer is told live."""

import gc
import time

import pytest
from support.talk import Talk

from gateway.edge.snapshot import SLICE, Snapshot
from gateway.hub.message import Message


class Topic:
    def __init__(self, name, offset, payload=b"1"):
        self.last = Message(name, payload, 0.0, "u", False, 0, offset)


def all_of(snapshot, count=100):
    while snapshot.looking:
        snapshot.look()
    found = []
    while taken := snapshot.take(count):
        found += taken
        assert snapshot.floor == taken[-1].offset
    return [message.offset for message in found]


def test_what_is_wanted_comes_in_offset_order_whatever_the_order_of_topics():
    topics = [Topic(f"t/{number}", 1 + number * 7919 % 5000) for number in range(5000)]
    snapshot = Snapshot(topics, after=10, until=4000, wanted=lambda message: message.offset % 2 == 0)
    assert all_of(snapshot) == list(range(12, 4001, 2))


def test_cleared_topics_and_those_without_a_value_are_left_out():
    nothing = Topic("n", 3)
    nothing.last = None
    topics = [Topic("a", 1), Topic("b", 2, b""), nothing]
    assert all_of(Snapshot(topics, after=0, until=9, wanted=lambda message: True)) == [1]


def test_a_look_is_a_slice_and_who_speaks_meanwhile_is_left_to_the_stream():
    topics = [Topic(f"t/{number}", number + 1) for number in range(2 * SLICE)]
    looked = []
    snapshot = Snapshot(topics, after=0, until=2 * SLICE, wanted=lambda message: not looked.append(message.offset))
    snapshot.look()
    assert len(looked) == SLICE
    assert snapshot.looking
    assert snapshot.floor == 0
    topics[-1].last.offset = 5000
    assert all_of(snapshot) == list(range(1, 2 * SLICE))


@pytest.mark.timing
def test_twenty_thousand_last_values_hold_nobody_up():
    """By the CPU of this thread, so that a busy machine does not count."""
    talk = Talk(clock=time.thread_time)
    for number in range(20_000):
        talk.publish(f"site/{number % 100}/sensor/{number}")
    talk.settle()
    gc.collect()
    gc.freeze()
    talk.say(type="subscribe", id=1, topics=["site/+/sensor/#", "other/+"])
    longest, turns = 0.0, 0
    while talk.turns:
        before = time.thread_time()
        talk.turn()
        longest = max(longest, time.thread_time() - before)
        turns += 1
    gc.unfreeze()
    assert sorted(talk.offsets) == list(range(1, 20_001))
    assert longest < 0.015
    assert turns > 10
