"""The hub with viewers in memory: one encode per variant, one send per viewer and turn, order, slices, last values."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hubhouse import Clock, House, Viewer

from gateway.hub.breath import BREATH, FLOOD
from gateway.hub.hub import QUIET, Hub
from gateway.hub.lastvalues import LOOKS
from gateway.hub.message import Message
from gateway.hub.subscription import AudienceKey, Subscription
from gateway.topics import matches


def test_a_message_is_encoded_once_however_many_watch():
    house = House()
    viewers = [house.join("a/#") for _ in range(50)] + [house.join("a/b"), house.join("+/b", "x")]
    house.publish("a/b")
    house.settle()
    assert house.variant.encoded == 1
    assert all(viewer.offsets == [1] for viewer in viewers)


def test_a_burst_costs_a_viewer_one_send():
    house = House()
    viewer = house.join("#")
    for _ in range(200):
        house.publish("a")
    house.settle()
    assert viewer.sends == 1
    assert viewer.offsets == list(range(1, 201))


def test_what_came_in_one_turn_goes_out_in_it_and_wakes_nobody_again():
    house = House()
    viewer = house.join("#")
    house.at_once("a", "b", "c")
    assert viewer.offsets == [1, 2, 3]
    assert viewer.sends == 1
    assert house.turns == []
    # A flush that is due takes along what comes before it.
    house.publish("a")
    house.at_once("b")
    assert viewer.offsets == [1, 2, 3]
    house.settle()
    assert viewer.offsets == [1, 2, 3, 4, 5]
    assert viewer.sends == 2


@pytest.mark.parametrize(("step", "least"), [(0.0001, 0.0001), (0.1, QUIET)])
def test_soon_after_a_flush_more_is_to_be_expected_and_goes_out_with_it(step, least):
    house = House()
    viewer = house.join("#")
    house.clock.step = step
    house.at_once("a")
    house.clock.step = 0.0
    house.clock.now += least / 2
    house.at_once("b")
    assert viewer.offsets == [1]
    house.settle()
    assert viewer.offsets == [1, 2]
    # At a pace that leaves the loop idle for longer than it is busy there is nothing to wait for.
    house.clock.step = step
    house.clock.now += 1.0
    house.at_once("c")
    house.clock.step = 0.0
    house.clock.now += min(20 * step, 2 * QUIET)
    house.at_once("d")
    assert viewer.offsets == [1, 2, 3, 4]


def test_a_log_that_fails_stops_nothing_that_comes_after():
    house = House()
    viewer = house.join("#")

    def fail(messages, durable):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        house.hub.at_once(fail, [Message("a", b"1", 0.0, "u")], None)
    house.publish("a")
    house.settle()
    assert viewer.offsets == [1]


def test_overlapping_filters_of_one_viewer_deliver_once():
    house = House()
    viewer = house.join("a/#", "a/b", "+/b")
    house.publish("a/b", "a/c", "x/b", "y")
    house.settle()
    assert viewer.offsets == [1, 2, 3]


def test_denied_topics_are_left_out():
    house = House()
    viewer = house.join("#", denies=("secret/#",))
    house.publish("secret/x", "open")
    house.settle()
    assert viewer.offsets == [2]


def test_a_flood_waits_a_breath_for_full_sockets_and_a_trickle_does_not():
    house = House()
    viewers = [house.join("#") for _ in range(300)]
    viewers[0].queued = True
    for _ in range(FLOOD - 1):
        house.publish("a")
    house.settle()
    assert not house.hub.busy
    # However many slices it takes to reach everybody: the full one was met in the first.
    house.clock.step = 0.001
    for _ in range(FLOOD):
        house.publish("a")
    house.settle()
    house.clock.step = 0.0
    assert house.hub.busy
    house.clock.now += BREATH
    assert not house.hub.busy


def test_what_nobody_watches_makes_no_flood():
    house = House()
    viewer = house.join("watched")
    viewer.queued = True
    for _ in range(FLOOD):
        house.publish("other")
    house.publish("watched")
    house.settle()
    assert not house.hub.busy


def test_who_joins_gets_only_what_comes_after():
    house = House()
    first = house.join("#")
    house.publish("a")
    second = house.join("#")
    house.publish("a")
    house.settle()
    assert (first.offsets, second.offsets) == ([1, 2], [2])


def test_who_moves_to_another_audience_misses_nothing_and_gets_nothing_twice():
    house = House()
    viewer, other = house.join("a"), house.join("a", "b")
    house.publish("a", "b")
    house.hub.leave(viewer, viewer.audience)
    viewer.audience = house.hub.join(viewer, house.key("a", "b"))
    house.publish("a", "b")
    house.settle()
    assert viewer.offsets == [1, 3, 4]
    assert other.offsets == [1, 2, 3, 4]


def test_the_settled_mark_never_runs_ahead_of_what_was_sent():
    house = House()
    for _ in range(200):
        house.join("#")
    house.clock.step = 0.005
    house.publish("a")
    house.turn()
    assert house.hub.settled == 0
    house.settle()
    assert house.hub.settled == 1
    house.publish("nobody/else")
    house.settle()
    assert house.hub.settled == 2


def test_last_values_are_in_offset_order_and_a_cleared_topic_has_none():
    house = House()
    house.publish("b", "a", "b", "c")
    house.publish("c", payload=b"")
    assert [(m.topic, m.offset) for m in house.hub.values.last(lambda topic: True)] == [("a", 2), ("b", 3)]
    assert [m.topic for m in house.hub.values.last(lambda topic: topic == "a")] == ["a"]


def test_a_retained_value_told_again_is_as_old_as_it_was():
    house = House()
    house.log.append([Message("a", b"1", 5.0, "u"), Message("b", b"1", 5.0, "u")])
    house.log.append([Message("a", b"1", None, "u", True), Message("b", b"2", None, "u", True)])
    assert [(m.topic, m.timestamp) for m in house.hub.values.last(lambda topic: True)] == [("a", 5.0), ("b", None)]


def test_a_flood_of_new_topics_forgets_those_silent_longest():
    house = House(last_values=160)
    viewer = house.join("#")
    for number in range(1000):
        house.publish(f"t/{number}")
    house.settle()
    assert len(house.hub.values) <= 160
    assert house.hub.values.forgotten == 1000 - len(house.hub.values)
    assert house.hub.values.last_of("t/999") is not None
    assert house.hub.values.last_of("t/0") is None
    assert len(viewer.offsets) == 1000


def test_topics_that_speak_survive_a_flood_of_new_ones():
    house = House(last_values=200)
    for number in range(5000):
        house.publish(f"flood/{number}")
        if number % 50 == 0:
            house.publish(*(f"steady/{each}" for each in range(40)))
    assert len(house.hub.values) == 200
    assert all(house.hub.values.last_of(f"steady/{each}") for each in range(40))
    assert house.hub.values.last_of("flood/4999") is not None


def test_to_let_a_topic_go_is_cheap_however_many_there_are():
    house = House(last_values=3000)
    topics = [f"t/{number}" for number in range(3000)]
    house.publish(*topics)
    house.publish(*topics)
    house.settle()
    looked = []
    popleft = house.hub.values._queue.popleft
    house.hub.values._queue = SimpleNamespace(popleft=lambda: looked.append(1) or popleft(), append=lambda name: None)
    house.publish("another")
    assert 1 <= len(looked) <= LOOKS
    assert len(house.hub.values) == 3000


def test_last_values_are_bounded_in_bytes():
    house = House(last_values_memory=100_000)
    for number in range(1000):
        house.publish(f"t/{number}", payload=b"x" * 1000)
    assert sum(1000 + 600 for _ in house.hub.values.last(lambda topic: True)) <= 100_000


def test_the_ways_of_topics_to_many_audiences_are_bounded_and_forgotten_before_topics():
    house = House(last_values_memory=1 << 20)
    viewers = [house.join("#", f"own/{number}") for number in range(100)]
    for number in range(1000):
        house.publish(f"t/{number % 500}")
        house.settle()
        assert house.hub.values.routed <= 1 << 20
    assert house.hub.values.routed
    assert len(house.hub.values) == 500
    assert {tuple(viewer.offsets) for viewer in viewers} == {tuple(range(1, 1001))}
    for viewer in viewers:
        house.hub.leave(viewer, viewer.audience)
    assert house.hub.values.routed == 0


def test_where_there_is_no_room_for_more_intervals_values_go_out_as_they_come():
    house = House(last_values_memory=1 << 20, later=lambda delay, function: None)
    most = house.hub.values.paces.most
    viewer = Viewer()
    audience = house.hub.join(viewer, AudienceKey(house.variant, (Subscription("#", interval=10.0),)))
    for number in range(most):
        house.publish(f"t/{number}")
    house.publish("t/0", "t/0")
    house.settle()
    assert len(viewer.offsets) == most
    assert (house.hub.values.paces.count, house.hub.unpaced) == (most, 0)
    house.publish("new", "new", "new")
    house.settle()
    assert len(viewer.offsets) == most + 3
    assert (house.hub.values.paces.count, house.hub.unpaced) == (most, 1)
    # What is over makes room.
    house.clock.now += 60.0
    house.publish("another", "another")
    house.settle()
    assert len(viewer.offsets) == most + 4
    assert house.hub.values.paces.count == 2  # one holds a value, and one is new
    house.hub.leave(viewer, audience, gone=True)
    house.publish("another")
    assert house.hub.values.paces.count == 0


def test_smaller_bounds_count_at_once():
    house = House()
    for number in range(1000):
        house.publish(f"t/{number}")
    house.hub.adopt(last_values=100, last_values_memory=1 << 20, period=5.0)
    assert 90 <= len(house.hub.values) <= 100
    house.hub.adopt(last_values=100, last_values_memory=50_000, period=5.0)
    assert 45 <= len(house.hub.values) <= 50_000 / 900
    assert house.hub.values.last_of("t/999") is not None


def test_whose_messages_are_kept_is_asked_anew_and_what_is_held_goes_first():
    kept: set[str] = set()
    house = House(kept=kept.__contains__, later=lambda delay, function: None)
    viewer = Viewer()
    house.hub.join(viewer, AudienceKey(house.variant, (Subscription("a", interval=10.0),)))
    house.publish("a", "a", "a")
    house.settle()
    assert viewer.offsets == [1]
    kept.add("a")
    house.hub.adopt(last_values=100, last_values_memory=1 << 20, period=5.0)
    house.publish("a")
    house.settle()
    assert viewer.offsets == [1, 3, 4]


def test_an_audience_ends_with_its_last_member():
    house = House()
    viewer = house.join("a/#")
    house.hub.leave(viewer, viewer.audience, gone=True)
    assert house.hub.audiences == 0
    house.publish("a/b")
    house.settle()
    assert house.variant.encoded == 0


FILTERS = ["#", "a/#", "a/+", "a/b", "+/b", "b", "$x/#"]
TOPICS = ["a", "a/b", "a/c", "b", "c/b", "$x/y"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4)),
            st.tuples(st.just("join"), st.sets(st.sampled_from(FILTERS), min_size=1, max_size=3)),
            st.tuples(st.just("move"), st.sets(st.sampled_from(FILTERS), min_size=1, max_size=3)),
            st.tuples(st.just("leave"), st.just(None)),
            st.tuples(st.just("block"), st.just(None)),
            st.tuples(st.just("unblock"), st.just(None)),
            st.tuples(st.just("turn"), st.just(None)),
        ),
        max_size=40,
    ),
    st.sampled_from([0.0, 0.0015, 0.01]),
    st.randoms(use_true_random=False),
)
def test_every_viewer_gets_exactly_what_matched_while_it_was_there(steps, step, random):
    house = House()
    house.clock.step = step
    viewers, expected, offset = [], {}, 0
    for action, value in steps:
        if action == "publish":
            house.publish(*value)
            for topic in value:
                offset += 1
                for viewer in viewers:
                    if any(matches(f, topic) for f in viewer.filters):
                        expected[viewer].append(offset)
        elif action == "join":
            viewer = house.join(*sorted(value))
            viewer.filters = value
            viewers.append(viewer)
            expected[viewer] = []
        elif action == "turn":
            house.turn()
        elif viewers:
            viewer = random.choice(viewers)
            if action == "move":
                house.hub.leave(viewer, viewer.audience)
                viewer.audience = house.hub.join(viewer, house.key(*sorted(value)))
                viewer.filters = value
            elif action == "leave":
                house.hub.leave(viewer, viewer.audience)
                viewers.remove(viewer)
            elif action == "block":
                viewer.queued = True
            else:
                viewer.unblock()
    house.settle()
    for viewer, offsets in expected.items():
        viewer.unblock()
        assert viewer.offsets == offsets


def test_last_values_of_an_earlier_run_are_taken_up_and_told_to_nobody():
    hub = Hub(schedule=lambda turn: None, clock=Clock(), last_values=3)
    hub.restore([Message(f"t/{n}", b"1", 1.0, "u", offset=n) for n in range(1, 6)], 70_000)
    assert [message.offset for message in hub.values.last(lambda topic: True)] == [3, 4, 5]
    assert (hub.settled, hub.received, len(hub.values)) == (70_000, 0, 3)
    hub.take([Message("t/5", b"2", 2.0, "u", offset=70_001)])
    assert hub.values.last_of("t/5").payload == b"2"


def test_last_values_of_an_earlier_run_are_bounded_in_bytes_too():
    hub = Hub(schedule=lambda turn: None, clock=Clock(), last_values_memory=50_000)
    hub.restore([Message(f"t/{n}", b"x" * 1000, 1.0, "u", offset=n) for n in range(1, 101)], 100)
    assert len(hub.values) * 1600 <= 50_000 + 1600
    assert hub.values.last_of("t/100") is not None
