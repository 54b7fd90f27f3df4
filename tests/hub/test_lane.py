"""The data lane: what waits is taken out whole and in order, and what is thinned is booked."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.lane import Lane
from gateway.hub.ledger import Ledger
from gateway.hub.message import Message


def frame_of(message):
    return b"[%s:%d:%s]" % (message.topic.encode(), message.offset, message.payload)


def batch_of(messages, **options):
    return Batch([frame_of(m) for m in messages], messages, **options)


def message(offset, topic="t", size=4):
    return Message(topic, b"x" * size, 0.0, "u", offset=offset)


def lane_of(*batches, budget=None):
    lane = Lane(budget or Budget(), Ledger("slow-consumer"))
    for batch in batches:
        lane.push(batch, 0)
    return lane


def rest_of(lane):
    return b"".join(lane.take(1 << 20, 1 << 20))


def sliced(lane, room, *, least=True):
    return b"".join(bytes(view) for _, view in lane.slices(room, least=least))


def test_slices_end_between_two_frames():
    lane = lane_of(batch_of([message(1), message(2), message(3)]), batch_of([message(4)]))
    frame = len(frame_of(message(1)))
    assert sliced(lane, 2 * frame + 1) == frame_of(message(1)) + frame_of(message(2))
    assert sliced(lane, 10 * frame) == frame_of(message(3)) + frame_of(message(4))
    assert lane.size == 0


def test_the_first_frame_comes_however_long_it_is_only_where_it_has_to():
    lane = lane_of(batch_of([message(1), message(2)]))
    assert sliced(lane, 3, least=False) == b""
    assert sliced(lane, 3) == frame_of(message(1))


def test_a_slice_of_one_batch_is_no_copy_of_it():
    batch = batch_of([message(1), message(2)])
    [(found, view)] = lane_of(batch).slices(1 << 20, least=True)
    assert found is batch
    assert view.obj is batch.blob


def test_frames_are_taken_one_by_one_up_to_a_number():
    lane = lane_of(batch_of([message(1), message(2)]), batch_of([message(3)]))
    assert lane.take(1, 1 << 20) == [frame_of(message(1))]
    assert lane.take(5, 1) == [frame_of(message(2))]
    assert rest_of(lane) == frame_of(message(3))


def test_merging_what_was_chosen_leaves_all_other_topics_alone():
    messages = [message(1, "a"), message(2, "b"), message(3, "a"), message(4, "b")]
    lane = lane_of(batch_of(messages, mergeable=lambda topic: topic == "a"))
    lane.merge_chosen()
    assert rest_of(lane) == b"".join(map(frame_of, messages[1:]))
    assert (lane.ledger.count, lane.ledger.first, lane.ledger.last) == (1, 1, 1)


def test_dropping_stops_once_enough_is_gone_and_steps_over_what_is_nobodys_to_drop():
    frame = len(frame_of(message(1)))
    lane = lane_of(solo(b"OK"), batch_of([message(1), message(2), message(3)]))
    lane.drop(frame + 1)
    assert rest_of(lane) == b"OK" + frame_of(message(3))
    assert lane.ledger.count == 2


def test_replays_count_as_paced_until_they_are_taken_out():
    lane = lane_of(Batch([b"r" * 10] * 3, None), batch_of([message(1)]), solo(b"OK"))
    assert lane.paced == 30
    assert sliced(lane, 10) == b"r" * 10
    assert lane.paced == 20
    lane.drop(1 << 20)
    assert (lane.paced, lane.size) == (20, 22)
    lane.clear()
    assert (lane.paced, lane.size, len(lane)) == (0, 0, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.lists(st.sampled_from("abc"), min_size=1, max_size=6)),
        st.tuples(st.sampled_from(["solo", "merge", "chosen"]), st.just(0)),
        st.tuples(st.just("drop"), st.integers(1, 60)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("slices"), st.integers(1, 80)),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_is_done_to_it_the_size_is_what_is_left_and_the_budget_gets_all_back(steps):
    budget = Budget()
    lane = lane_of(budget=budget)
    offset, out, solos = 0, b"", 0
    for step, value in [*steps, ("take", 1 << 20)]:
        if step == "push":
            messages = []
            for topic in value:
                offset += 1
                messages.append(message(offset, topic, offset % 5))
            lane.push(batch_of(messages, mergeable=lambda topic: topic == "a"), 0)
        elif step == "solo":
            solos += 1
            lane.push(solo(b"{}"), 0)
        elif step == "merge":
            lane.merge()
        elif step == "chosen":
            lane.merge_chosen()
        elif step == "drop":
            lane.drop(value)
        elif step == "slices":
            out += sliced(lane, value)
        else:
            out += b"".join(lane.take(value, 1 << 20))
    assert (lane.size, lane.paced, len(lane), budget.size) == (0, 0, 0, 0)
    offsets = [int(frame.split(b":")[1]) for frame in out.replace(b"{}", b"").split(b"]")[:-1]]
    assert offsets == sorted(set(offsets))
    assert len(offsets) + lane.ledger.count == offset
    assert out.count(b"{}") == solos
