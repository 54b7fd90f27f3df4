"""Freshness: set times and learned rhythms, on a clock that only goes forward; never for doors; nothing per message."""

import pytest

from devices.registry import Registry
from gateway.hub.freshness import MARK, Freshness
from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.observers import Observers
from gateway.hub.readings import Readings
from gateway.hub.rhythm import INTERVALS, Rhythm
from gateway.hub.staleness import limits_of, steady_by


class House:
    """A hub with freshness, whose time passes by hand; the wall clock jumps about."""

    def __init__(self, rules=(), most=1000):
        self.now, self.turns, self.timers, self.changes, self.seen = 1000.0, [], [], [], 0
        readings = Readings(Registry(()), wall=lambda: 0.0)
        self.observers = Observers(readings)
        self.hub = Hub(schedule=self.turns.append, clock=lambda: self.now, later=self.later, observer=self.observers)
        self.log = MemoryLog(self.hub.take, epoch="e", limit=1 << 30, age=1e9, clock=lambda: 0.0)
        self.freshness = Freshness(
            self.hub.values,
            self.hub.wheel,
            newest=lambda: self.log.newest,
            limits=limits_of(rules),
            steady=steady_by(readings),
            changed=lambda change: self.changes.append((self.now, change)),
            clock=lambda: self.now,
            most=most,
        )
        self.observers.all.append(self)
        self.freshness.start(self.later)

    def observe(self, message):
        self.seen += 1
        return self.freshness.observe(message)

    def later(self, delay, function):
        self.timers.append((self.now + delay, function))

    def sleep(self, seconds):
        until = self.now + seconds
        while self.timers and min(t for t, _ in self.timers) <= until:
            timer = min(self.timers, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = until

    def publish(self, topic, payload=b'{"temperature":21}', retained=False):
        self.log.append([Message(topic, payload, None if retained else 5.0, "u", retained)])

    def rhythm(self, topic, every, times):
        for _ in range(times):
            self.publish(topic)
            self.sleep(every)


def test_a_set_time_counts_from_the_last_message_and_is_told_once():
    house = House([("plant/#", 10.0)])
    house.publish("plant/x")
    house.sleep(8)
    house.publish("plant/x")
    house.sleep(9.9)
    assert house.changes == []
    house.sleep(100)
    [(when, change)] = house.changes
    assert (change.topic, change.stale, change.stale_after) == ("plant/x", True, 10.0)
    assert 10.0 <= when - 1008.0 <= 10.0 + 2 * MARK + 0.1
    assert change.age >= 10.0


def test_a_stale_topic_that_speaks_is_fresh_at_once_and_can_go_stale_again():
    house = House([("#", 10.0)])
    house.publish("x")
    house.sleep(60)
    house.publish("x")
    assert [(when, change.stale) for when, change in house.changes][1:] == [(1060.0, False)]
    assert house.changes[1][1].age == pytest.approx(60, abs=1)
    house.sleep(60)
    assert [change.stale for _, change in house.changes] == [True, False, True]
    assert [change.topic for change in house.freshness.stale()] == ["x"]


def test_the_rhythm_is_learned_and_three_missed_intervals_are_stale():
    house = House()
    house.rhythm("x", 10.0, INTERVALS + 1)
    last = house.now - 10.0
    house.sleep(18)
    assert house.changes == []
    house.sleep(10)
    [(when, change)] = house.changes
    assert change.stale_after == pytest.approx(30.0, abs=0.1)
    assert 30.0 <= when - last <= 31.0


def test_before_eight_intervals_nothing_is_stale():
    house = House()
    house.rhythm("x", 10.0, INTERVALS)
    house.sleep(10_000)
    assert house.changes == []


def test_what_has_no_rhythm_is_never_stale():
    house = House()
    for _ in range(10):
        house.rhythm("x", 1.0, 3)
        house.rhythm("x", 30.0, 2)
    house.sleep(10_000)
    assert house.changes == []


@pytest.mark.parametrize("topic", ["zigbee/front_door", "home/contact/state", "hall/motion", "kitchen/leak1"])
def test_doors_have_no_rhythm_by_their_topic(topic):
    house = House()
    house.rhythm(topic, 5.0, 30)
    house.sleep(10_000)
    assert house.changes == []


@pytest.mark.parametrize("payload", [b'{"contact":true,"battery":97}', b'{"occupancy":false,"illuminance":5}'])
def test_doors_have_no_rhythm_by_what_they_measure(payload):
    house = House()
    for _ in range(30):
        house.publish("zigbee2mqtt/0x00158d0001", payload)
        house.sleep(5)
    house.sleep(10_000)
    assert house.changes == []


def test_doors_with_a_set_time_go_by_it():
    house = House([("zigbee/+device", 60.0)])
    house.publish("zigbee/front_door")
    house.sleep(100)
    assert [change.stale for _, change in house.changes] == [True]


def test_another_time_counts_at_once_for_topics_that_are_silent_already():
    house = House()
    house.publish("x")
    house.publish("y", retained=True)
    house.publish("front_door")
    house.sleep(50)
    house.freshness.relimit(limits_of([("+topic", 60.0)]))
    house.sleep(5)
    assert house.changes == []
    house.sleep(7)
    assert [(change.topic, change.stale, change.stale_after) for _, change in house.changes] == [
        ("x", True, 60.0),
        ("front_door", True, 60.0),
    ]
    house.sleep(60)
    assert [change.topic for _, change in house.changes] == ["x", "front_door", "y"]


def test_a_longer_time_makes_fresh_again_what_is_not_silent_for_so_long():
    house = House([("x", 10.0), ("y", 10.0)])
    house.publish("x")
    house.publish("y")
    house.sleep(20)
    house.freshness.relimit(limits_of([("x", 60.0), ("y", 15.0)]))
    assert [(change.topic, change.stale, change.stale_after) for _, change in house.changes[2:]] == [("x", False, 60.0)]
    assert [(change.topic, change.stale_after) for change in house.freshness.stale()] == [("y", 15.0)]
    house.sleep(41)
    assert [(change.topic, change.stale) for _, change in house.changes[3:]] == [("x", True)]


def test_without_its_time_a_topic_is_fresh_and_learned_again():
    house = House([("#", 10.0)])
    house.publish("x")
    house.publish("front_door")
    house.sleep(20)
    house.freshness.relimit(limits_of([]))
    assert [(change.topic, change.stale) for _, change in house.changes[2:]] == [("x", False), ("front_door", False)]
    house.sleep(1000)
    assert len(house.changes) == 4
    house.rhythm("x", 10.0, INTERVALS + 1)
    house.sleep(30)
    assert [(change.topic, change.stale) for _, change in house.changes[4:]] == [("x", True)]


def test_a_retained_value_is_no_sign_of_life():
    house = House([("#", 10.0)])
    house.publish("x")
    house.sleep(20)
    house.publish("x", retained=True)
    house.sleep(20)
    assert [change.stale for _, change in house.changes] == [True]


def test_a_cleared_topic_is_forgotten():
    """Nobody was told: it was called silent for ever, also once it spoke again."""
    house = House([("#", 10.0)])
    house.publish("x")
    house.sleep(20)
    house.publish("x", b"")
    assert list(house.freshness.stale()) == []
    house.publish("x")
    assert [change.stale for _, change in house.changes] == [True, False]


def test_once_a_rhythm_is_known_messages_are_not_looked_at():
    house = House()
    house.rhythm("x", 0.1, 600)
    before = house.seen
    house.rhythm("x", 0.1, 600)
    assert house.seen == before
    assert before < 60
    assert house.changes == []


def test_a_slow_topic_that_is_learned_wakes_nobody_up_between_its_messages():
    house = House()
    house.rhythm("a", 2.0, 2)
    assert (house.seen, len(house.hub.wheel)) == (2, 0)
    house.rhythm("a", 2.0, 6)
    assert (house.seen, len(house.hub.wheel)) == (8, 0)
    house.rhythm("a", 2.0, 2)
    house.sleep(60)
    assert [change.stale_after for _, change in house.changes] == [6.0]


def test_a_burst_of_a_slow_topic_counts_as_one_arrival():
    house = House()
    for _ in range(9):
        for _ in range(30):
            house.publish("a")
            house.sleep(0.001)
        house.sleep(1.97)
    house.sleep(60)
    [(_, change)] = house.changes
    assert 5.9 < change.stale_after < 6.1


def test_who_comes_back_with_a_slower_rhythm_is_soon_believed():
    house = House()
    house.rhythm("x", 2.0, 20)
    house.rhythm("x", 60.0, 40)
    told = len(house.changes)
    house.rhythm("x", 60.0, 40)
    assert len(house.changes) == told


def test_new_topics_take_the_place_of_those_that_are_known_no_more_at_a_small_price():
    house = House([("#", 10.0)], most=100)
    house.hub.values.most = 100
    looked = []
    last_of = house.hub.values.last_of
    house.hub.values.last_of = lambda topic: (looked.append(topic), last_of(topic))[1]
    for number in range(1000):
        house.publish(f"t/{number}")
    assert len(looked) < 3000
    assert set(house.freshness._watches) <= {f"t/{number}" for number in range(800, 1000)}
    house.sleep(20)
    assert "t/990" in {change.topic for _, change in house.changes}


def test_a_silent_topic_that_is_known_no_more_is_called_silent_no_more():
    house = House([("#", 10.0)], most=10)
    house.hub.values.most = 10
    house.publish("first")
    house.sleep(20)
    for number in range(20):
        house.publish(f"t/{number}")
    assert [(change.topic, change.stale) for _, change in house.changes] == [("first", True), ("first", False)]


def test_a_topic_that_is_cleared_and_comes_again_leaves_nothing_behind():
    house = House([("#", 10.0)])
    for _ in range(1000):
        house.publish("x")
        house.publish("x", b"")
    assert len(house.freshness._queue) < 100


def test_topics_watched_are_bounded():
    house = House(most=100)
    for number in range(1000):
        house.publish(f"t/{number}")
    house.sleep(10)
    assert len(house.freshness._watches) <= 100


def test_marks_are_bounded_and_never_make_a_topic_stale_too_early():
    house = House([("slow", 5000.0)])
    house.sleep(100)
    house.publish("slow")
    for _ in range(4990):
        house.publish("other")
        house.sleep(1)
    assert house.changes == []
    house.sleep(20)
    assert [change.topic for _, change in house.changes if change.topic == "slow"] == ["slow"]


def test_a_rhythm_bears_one_late_arrival():
    rhythm, now = Rhythm(), 0.0
    for every in [10, 10, 10, 35, 10, 10, 10, 10, 10, 10, 10]:
        now += every
        after = rhythm.arrived(now)
    assert after == 30.0
