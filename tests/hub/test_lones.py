"""Those who are alone in their audience: served at once where a turn has one message, each rightly and counted once."""

from hypothesis import given
from hypothesis import strategies as st
from support.hubhouse import House, Variant

from gateway.hub.handing import DIRECT
from gateway.hub.lones import UNSETTLED
from gateway.topics import matches


def test_the_only_message_of_a_turn_goes_to_those_who_were_there_when_it_came():
    house = House()
    alone, other = house.join("a"), house.join("a", "b")
    house.publish("a")
    late, moved = house.join("#"), house.join("b")
    house.hub.leave(moved, moved.audience)
    house.hub.join(moved, house.key("a"))
    house.hub.leave(other, other.audience, gone=True)
    house.settle()
    assert (alone.offsets, other.offsets, late.offsets, moved.offsets) == ([1], [], [], [])


def test_the_only_message_of_a_turn_stays_before_what_comes_to_it():
    house = House()
    alone, both, crowd = house.join("a"), house.join("a", "b"), [house.join("#") for _ in range(3)]
    house.publish("a")
    house.publish("b")
    house.publish("a")
    house.settle()
    assert alone.offsets == [1, 3]
    assert [viewer.offsets for viewer in [both, *crowd]] == [[1, 2, 3]] * 4
    assert [viewer.sends for viewer in [alone, both, *crowd]] == [1] * 5


def test_the_only_message_of_a_turn_waits_behind_what_its_viewer_has_not_taken():
    house = House()
    viewers = [house.join("a", f"own/{number}") for number in range(100)]
    for viewer in viewers[::3]:
        viewer.queued = True
    house.publish("a")
    house.settle()
    assert [viewer.offsets for viewer in viewers] == [[] if n % 3 == 0 else [1] for n in range(100)]
    for viewer in viewers[::3]:
        viewer.unblock()
    house.publish("a")
    house.settle()
    assert [viewer.offsets for viewer in viewers] == [[1, 2]] * 100


def test_what_each_got_is_counted_once_whichever_way_it_went():
    house = House()
    alone = [house.join("a", f"own/{number}") for number in range(150)]
    crowd = [house.join("#") for _ in range(40)]
    for turn, topics in enumerate(["a", "aa", "a", "ab", "a"], 1):
        if turn == 3:
            alone[5].queued = alone[140].queued = True
            house.clock.step = 0.003
        if turn == 4:
            house.clock.step = 0.0
            alone[5].unblock()
            alone.append(house.join("a", "own/5"))
        house.clock.now = 10.0 * turn
        for topic in topics:
            house.publish(topic)
        house.settle()
        house.hub.settle()
        if turn == 1:
            assert {viewer.audience.sent_at for viewer in [*alone, *crowd]} == {10.0}
    assert [viewer.audience.delivered for viewer in alone[:5]] == [6] * 5
    assert alone[140].audience.delivered == 6  # what waits for it included
    assert alone[5].audience.delivered == 4 + 2 * 2
    assert crowd[0].audience.delivered == 7 * 40
    assert house.hub.delivered == 149 * 6 + 8 + 280
    assert all(viewer.audience.sent_at == 50.0 for viewer in [*alone, *crowd])
    delivered = house.hub.delivered
    house.publish("a")
    house.settle()
    for viewer in [*alone, *crowd]:
        house.hub.leave(viewer, viewer.audience, gone=True)
    assert house.hub.delivered == delivered + 151 + 40


def test_a_thousand_who_chose_otherwise_are_served_in_slices():
    house = House()
    viewers = [house.join("a", f"own/{number}") for number in range(300)]
    house.clock.step = 0.003
    house.publish("a")
    house.turn()
    assert 0 < sum(viewer.sends for viewer in viewers) < 300
    assert house.hub.busy
    house.settle()
    assert [viewer.offsets for viewer in viewers] == [[1]] * 300


def test_who_is_no_longer_alone_or_has_gone_says_nothing_for_those_who_are():
    house = House()
    first = house.join("a")
    second = house.join("a")
    first.queued = True
    first.queued = False
    house.publish("a")
    house.settle()
    assert (first.offsets, second.offsets) == ([1], [1])
    house.hub.leave(first, first.audience)
    house.publish("a")
    house.settle()
    first.queued = False
    house.publish("a")
    house.settle()
    second.queued = True
    house.publish("a")
    house.settle()
    assert (first.offsets, second.offsets) == ([1], [1, 2, 3])
    second.unblock()
    assert second.offsets == [1, 2, 3, 4]


def test_few_messages_of_a_turn_go_out_one_by_one_and_many_together():
    house = House()
    viewers = [house.join(f"t/{number}", "all") for number in range(10)]
    house.publish("t/0", "t/1")
    house.publish("t/0")
    house.settle()
    assert [viewer.offsets for viewer in viewers[:3]] == [[1, 3], [2], []]
    assert [viewer.sends for viewer in viewers[:3]] == [2, 1, 0]
    house.publish("all", "t/0", "all")
    house.settle()
    assert [viewer.offsets for viewer in viewers[:3]] == [[1, 3, 4, 5, 6], [2, 4, 6], [4, 6]]
    assert [viewer.sends for viewer in viewers[:3]] == [3, 2, 1]


def test_few_messages_for_which_time_ran_out_go_out_in_the_next_turn_before_those_that_came_since():
    house = House()
    viewers = [house.join(f"t/{number}", "all") for number in range(10)]
    house.clock.step = 0.003
    house.publish("t/0", "t/1", "t/0", "t/2")
    house.turn()
    assert sum(viewer.sends for viewer in viewers) < 4
    assert house.hub.busy
    house.publish("t/0", "all", "t/0")
    house.settle()
    assert [viewer.offsets for viewer in viewers[:4]] == [[1, 3, 5, 6, 7], [2, 6], [4, 6], [6]]
    assert not house.hub.busy


def test_the_second_of_few_waits_for_those_whom_the_first_has_not_reached():
    house = House()
    viewers = [house.join("a", f"own/{number}") for number in range(300)]
    fillers = [house.join(f"filler/{number}") for number in range(400)]
    house.clock.step = 0.003
    house.publish("a", "a")
    house.turn()
    house.publish("a")
    house.settle()
    assert [viewer.offsets for viewer in viewers] == [[1, 2, 3]] * 300
    assert not any(viewer.sends for viewer in fillers)


class Padded(Variant):
    """Frames of `large` are too long to be offered before others have their turn."""

    def encoder(self, topic, view):
        encode = super().encoder(topic, view)
        return (lambda message: encode(message)[:-1] + b":" + bytes(DIRECT) + b";") if topic == "large" else encode


def test_a_small_message_does_not_overtake_a_large_one_of_its_turn():
    house, variant = House(), Padded()
    viewers = [house.join(*filters, variant=variant) for filters in (("large", "a"), ("b",), ("c",))]
    house.publish("large", "a")
    house.settle()
    assert viewers[0].offsets == [1, 2]


FILTERS = ("a", "b", "c/+", "#", "c/1", "large")
TOPICS = ("a", "b", "c/1", "c/2", "d", "large")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4)),
        st.tuples(st.just("turn"), st.sampled_from([0.0, 0.003])),
        st.tuples(st.just("queue"), st.integers(0, 20)),
        st.tuples(st.just("unblock"), st.integers(0, 20)),
        st.tuples(st.just("join"), st.sets(st.sampled_from(FILTERS), min_size=1)),
        st.tuples(st.just("leave"), st.integers(0, 20)),
    ),
    max_size=30,
)


@given(st.lists(st.sets(st.sampled_from(FILTERS), min_size=1), min_size=1, max_size=12), STEPS)
def test_however_turns_fall_everybody_gets_what_matches_once_and_in_order(first, steps):
    house, variant = House(), Padded()
    viewers = []
    wanted = []
    there = []
    offset = 0

    def join(filters):
        viewers.append(house.join(*sorted(filters), variant=variant))
        wanted.append([])
        there.append(filters)

    for filters in first:
        join(filters)
    for what, value in steps:
        if what == "publish":
            for topic in value:
                offset += 1
                for filters, offsets in zip(there, wanted, strict=True):
                    if any(matches(filter, topic) for filter in filters):
                        offsets.append(offset)
            house.publish(*value)
        elif what == "turn":
            house.clock.step = value
            house.turn()
        elif what == "join":
            join(value)
        else:
            number = value % len(viewers)
            if what == "queue":
                viewers[number].queued = True
            elif what == "unblock":
                viewers[number].unblock()
            elif there[number]:
                house.hub.leave(viewers[number], viewers[number].audience)
                there[number] = ()
    house.settle()
    for viewer in viewers:
        viewer.unblock()
    assert [viewer.offsets for viewer in viewers] == wanted


def test_counts_are_booked_before_too_many_ways_wait_for_it():
    house = House()
    viewers = [house.join("t/#", f"own/{number}") for number in range(2)]
    for number in range(UNSETTLED + 1):
        house.publish(f"t/{number}")
        house.settle()
    assert [viewer.audience.delivered for viewer in viewers] == [UNSETTLED] * 2
    assert house.hub.delivered == 2 * (UNSETTLED + 1)
