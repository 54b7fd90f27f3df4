"""Intervals: the newest value per topic and interval, the first at once; what is merged is named, member by member."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from support.hubhouse import Variant
from support.row import InRow

from gateway.hub.hub import Hub
from gateway.hub.log import MemoryLog
from gateway.hub.message import Message
from gateway.hub.subscription import AudienceKey, Subscription
from gateway.topics import matches


class Viewer(InRow):
    def __init__(self, house):
        self.house, self.queued, self.got, self.gaps = house, False, [], []

    def send(self, data):
        self.got += [(self.house.now, int(part.split(b":")[1])) for part in data.split(b";") if part]
        return len(data)

    def push(self, batch):
        self.send(batch.blob)

    def owe(self, ledger):
        assert sum(ledger.topics.values()) == ledger.count
        self.gaps.append((self.house.now, ledger.copy()))

    def short(self, batch, taken):
        raise AssertionError

    failed = short

    @property
    def offsets(self):
        return [offset for _, offset in self.got]

    @property
    def merged(self):
        return sum(ledger.count for _, ledger in self.gaps)


class House:
    """A hub whose time passes by hand."""

    def __init__(self, **options):
        self.now, self.turns, self.timers, self.variant = 100.0, [], [], Variant()
        self.hub = Hub(schedule=self.turns.append, clock=lambda: self.now, later=self.later, **options)
        self.log = MemoryLog(self.hub.take, epoch="e", limit=1 << 30, age=1e9, clock=lambda: 0.0)

    def later(self, delay, function):
        self.timers.append((self.now + delay, function))

    def publish(self, *topics):
        self.log.append([Message(topic, b"1", 0.0, "u") for topic in topics])
        self.settle()

    def settle(self):
        while self.turns:
            turns, self.turns[:] = list(self.turns), []
            for function in turns:
                function()

    def sleep(self, seconds):
        until = self.now + seconds
        while self.timers and min(t for t, _ in self.timers) <= until:
            timer = min(self.timers, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
            self.settle()
        self.now = until

    def join(self, *subscriptions):
        viewer = Viewer(self)
        self.enter(viewer, *subscriptions)
        return viewer

    def enter(self, viewer, *subscriptions):
        viewer.audience = self.hub.join(viewer, AudienceKey(self.variant, tuple(subscriptions)))


def test_the_first_value_goes_at_once_then_the_newest_once_an_interval():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    for _ in range(25):
        house.publish("t")
        house.sleep(0.1)
    house.sleep(2.0)
    times = [round(when - 100.0, 1) for when, _ in viewer.got]
    assert viewer.offsets[0] == 1
    assert viewer.offsets[-1] == 25
    assert times[0] == 0.0
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(times))
    assert len(times) == 4


def test_a_topic_that_comes_seldom_is_not_held_back():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    for _ in range(5):
        house.publish("t")
        assert viewer.got[-1][0] == house.now
        house.sleep(1.5)
    assert viewer.offsets == [1, 2, 3, 4, 5]
    assert len(house.hub.wheel) == 0


def test_a_topic_that_keeps_within_its_interval_wakes_nobody():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    for _ in range(3):
        house.publish("t")
        assert len(house.hub.wheel) == 0
        house.sleep(1.0)
    assert viewer.offsets == [1, 2, 3]


def test_topics_that_went_quiet_are_forgotten():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    for number in range(5000):
        house.publish(f"t/{number}")
        house.sleep(0.1)
    assert len(viewer.audience.pacer) < 1000


def test_topics_have_intervals_of_their_own():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    house.publish("a", "b", "a", "b")
    assert viewer.offsets == [1, 2]
    house.sleep(1.1)
    assert viewer.offsets == [1, 2, 3, 4]


def test_merging_is_summed_up_in_one_gap_a_period():
    house = House(period=20.0)
    viewer = house.join(Subscription("#", interval=1.0))
    for _ in range(500):
        house.publish("t")
        house.sleep(0.1)
    house.sleep(30)
    assert 2 <= len(viewer.gaps) <= 4
    assert len(viewer.got) + viewer.merged == 500


def test_a_value_is_encoded_only_once_it_goes_out_and_once_for_all_members():
    house = House()
    viewers = [house.join(Subscription("#", interval=1.0)) for _ in range(50)]
    for _ in range(100):
        house.publish("t")
    house.sleep(1.1)
    assert [viewer.offsets for viewer in viewers] == [[1, 100]] * 50
    assert house.variant.encoded == 2


def test_topics_of_which_every_message_counts_know_no_interval():
    house = House(kept=lambda topic: topic == "button")
    viewer = house.join(Subscription("#", interval=5.0))
    for _ in range(5):
        house.publish("button")
    assert viewer.offsets == [1, 2, 3, 4, 5]


def test_the_floor_stays_below_what_is_held_or_not_named_yet():
    house = House()
    viewer = house.join(Subscription("#", interval=1.0))
    house.publish("t")
    assert viewer.audience.floor(viewer) is None
    house.publish("t")
    assert viewer.audience.floor(viewer) == 2
    house.publish("t")
    house.sleep(1.5)
    assert viewer.offsets == [1, 3]
    assert viewer.audience.floor(viewer) == 2
    house.sleep(25)
    assert viewer.audience.floor(viewer) is None
    assert viewer.merged == 1


def test_who_joins_later_is_neither_given_nor_told_of_what_was_before():
    house = House()
    first = house.join(Subscription("#", interval=1.0))
    house.publish("t", "t", "t", "u", "u")
    second = house.join(Subscription("#", interval=1.0))
    house.publish("t")
    house.sleep(30)
    assert first.offsets == [1, 4, 5, 6] or first.offsets == [1, 4, 6, 5]
    assert first.merged == 2
    assert second.offsets == [6]
    assert second.merged == 0


def test_what_was_before_holds_no_floor_of_who_joins_later():
    house = House()
    house.join(Subscription("#", interval=1.0))
    house.publish("t", "t", "t")
    second = house.join(Subscription("#", interval=1.0))
    assert second.audience.floor(second) is None
    house.publish("u", "u")
    assert second.audience.floor(second) == 5


def test_who_leaves_takes_what_was_held_and_owed_along():
    house = House()
    viewer, other = (house.join(Subscription("#", interval=10.0)) for _ in range(2))
    house.publish("t", "t", "t", "u", "u")
    house.hub.leave(viewer, viewer.audience)
    assert viewer.offsets == [1, 4, 3, 5]
    assert viewer.merged == 1
    house.sleep(60)
    assert sorted(other.offsets) == [1, 3, 4, 5]
    assert other.merged == 1


def test_nothing_is_left_on_the_wheel_by_an_audience_that_ends():
    house = House()
    viewer = house.join(Subscription("#", interval=86_400.0))
    house.publish(*[f"t/{n}" for n in range(100)], *[f"t/{n}" for n in range(100)])
    assert len(house.hub.wheel) == 100
    house.hub.leave(viewer, viewer.audience, gone=True)
    assert len(house.hub.wheel) == 0


TABLES = (
    (Subscription("#", interval=0.5),),
    (Subscription("a/+", interval=0.5), Subscription("b", interval=2.0)),
    (Subscription("#", interval=2.0), Subscription("b")),
    (Subscription("a/+"),),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.lists(st.sampled_from(["a/x", "a/y", "b"]), min_size=1, max_size=5)),
            st.tuples(st.just("sleep"), st.sampled_from([0.05, 0.3, 1.0, 7.0])),
            st.tuples(st.just("join"), st.sampled_from(TABLES)),
            st.tuples(st.just("move"), st.sampled_from(TABLES)),
            st.tuples(st.just("gone"), st.none()),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_every_message_is_delivered_or_named_to_everyone_who_was_there(steps, random):
    house = House(period=3.0)
    viewers, expected, offset = [], {}, 0
    for action, value in steps:
        if action == "publish":
            house.publish(*value)
            for topic in value:
                offset += 1
                for viewer in viewers:
                    if any(matches(s.filter, topic) for s in viewer.audience.key.table):
                        expected[viewer].add(offset)
        elif action == "sleep":
            house.sleep(value)
        elif action == "join":
            viewer = house.join(*value)
            viewers.append(viewer)
            expected[viewer] = set()
        elif viewers:
            viewer = random.choice(viewers)
            if action == "move":
                house.hub.leave(viewer, viewer.audience)
                house.enter(viewer, *value)
            else:
                house.hub.leave(viewer, viewer.audience, gone=True)
                viewers.remove(viewer)
        for viewer in viewers:
            floor = viewer.audience.floor(viewer)
            settled = house.hub.settled if floor is None else min(house.hub.settled, floor - 1)
            due = {o for o in expected[viewer] if o <= settled}
            assert len(due) <= len(due & set(viewer.offsets)) + viewer.merged
    house.sleep(30)
    for viewer in viewers:
        assert len(viewer.offsets) == len(set(viewer.offsets))
        assert set(viewer.offsets) <= expected[viewer]
        assert len(viewer.offsets) + viewer.merged == len(expected[viewer])
        for _, ledger in viewer.gaps:
            assert 1 <= ledger.first <= ledger.last <= offset
