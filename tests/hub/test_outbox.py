"""The outbox: what goes out is whole, in order, and every message that does not is booked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.hub.batch import Batch
from gateway.hub.message import Message
from gateway.hub.outbox import CONTROL_LIMIT, Bounds, Outbox, Overflow, Policy


def batch_of(messages, **options):
    return Batch([frame_of(m) for m in messages], messages, **options)


def frame_of(message):
    return b"[%s:%d:%s]" % (message.topic.encode(), message.offset, message.payload)


def gap(ledger):
    return f"<{ledger.first}-{ledger.last}:{ledger.count}>".encode()


def outbox_of(**bounds):
    return Outbox(Bounds(**bounds), gap)


def message(offset, topic="t", size=4):
    return Message(topic, b"x" * size, 0.0, "u", False, 0, offset)


def drain(outbox, limit=1 << 20, step=1 << 20):
    out = b""
    while (chunk := outbox.chunk(limit)) is not None:
        taken = bytes(chunk[:step])
        out += taken
        outbox.took(len(taken))
    return out


def test_nothing_waits_in_an_empty_outbox():
    outbox = outbox_of()
    assert not outbox
    assert outbox.chunk(100) is None


def test_order_is_kept_and_control_goes_first_between_frames():
    outbox = outbox_of()
    one, two = batch_of([message(1), message(2)]), batch_of([message(3)])
    outbox.push(one, now=0.0)
    outbox.push(two, now=0.0)
    first = bytes(outbox.chunk(5))
    outbox.took(5)
    outbox.control(b"PING")
    rest = drain(outbox)
    assert first + rest == frame_of(message(1)) + b"PING" + frame_of(message(2)) + frame_of(message(3))


def test_what_was_offered_is_offered_again_whatever_happens_meanwhile():
    outbox = outbox_of(soft=10, policy=Policy.LATEST)
    outbox.push(batch_of([message(n) for n in range(1, 50)]), now=0.0)
    offered = bytes(outbox.chunk(64))
    for n in range(50, 200):
        outbox.push(batch_of([message(n)]), now=0.0)
        outbox.control(b"P") if n == 60 else None
    assert bytes(outbox.chunk(64)) == offered


def test_a_batch_cut_short_goes_on_at_the_very_byte():
    outbox = outbox_of()
    batch = batch_of([message(1), message(2), message(3)])
    outbox.resume(batch, 15, now=0.0)
    assert batch.blob[:15] + drain(outbox) == batch.blob


def test_latest_keeps_the_newest_per_topic_and_names_the_rest_before_it():
    outbox = outbox_of(soft=40, policy=Policy.LATEST)
    messages = [message(n, topic="ab"[n % 2]) for n in range(1, 11)]
    outbox.push(batch_of(messages), now=0.0)
    assert drain(outbox) == b"<1-8:8>" + frame_of(messages[8]) + frame_of(messages[9])


def test_topics_that_are_kept_are_never_merged():
    outbox = outbox_of(soft=40, policy=Policy.LATEST)
    messages = [message(n, topic="alarm") for n in range(1, 11)]
    outbox.push(batch_of(messages, kept=lambda topic: topic == "alarm"), now=0.0)
    assert drain(outbox) == b"".join(map(frame_of, messages))


def test_mode_latest_merges_as_soon_as_the_client_is_behind():
    outbox = outbox_of()
    for n in range(1, 6):
        outbox.push(batch_of([message(n)], mergeable=lambda topic: True), now=0.0)
    assert drain(outbox) == b"<1-4:4>" + frame_of(message(5))


def test_drop_oldest_drops_to_soft_and_says_so():
    outbox = outbox_of(soft=40, policy=Policy.DROP_OLDEST)
    messages = [message(n) for n in range(1, 11)]
    for each in messages:
        outbox.push(batch_of([each]), now=0.0)
    assert drain(outbox) == b"<1-7:7>" + b"".join(map(frame_of, messages[7:]))


def test_disconnect_ends_the_client_above_soft():
    outbox = outbox_of(soft=40, policy=Policy.DISCONNECT)
    with pytest.raises(Overflow):
        outbox.push(batch_of([message(n) for n in range(1, 11)]), now=0.0)


def test_hard_bounds_memory_and_starts_the_clock_of_patience():
    outbox = outbox_of(soft=100, hard=400, patience=30.0)
    for n in range(1, 1000):
        outbox.push(batch_of([message(n, topic=f"t{n}")]), now=1.0)
        assert outbox.size <= 400
    assert not outbox.overdue(31.0)
    assert outbox.overdue(31.1)
    drain(outbox)
    assert not outbox.overdue(99.0)


def test_own_frames_are_never_shed():
    outbox = outbox_of(soft=20, hard=60)
    outbox.solo(b"OK1")
    for n in range(1, 100):
        outbox.push(batch_of([message(n, topic=f"t{n}")]), now=0.0)
    outbox.solo(b"OK2")
    out = drain(outbox)
    assert out.index(b"OK1") < out.index(b"[t")
    assert out.endswith(b"OK2")


def test_control_frames_that_pile_up_end_the_client():
    outbox = outbox_of()
    with pytest.raises(Overflow):
        for _ in range(CONTROL_LIMIT):
            outbox.control(b"PONG")


@st.composite
def histories(draw):
    policy = draw(st.sampled_from([Policy.LATEST, Policy.DROP_OLDEST]))
    soft = draw(st.integers(30, 300))
    hard = soft * draw(st.integers(2, 4))
    steps = draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("push"), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12)),
                st.tuples(st.just("take"), st.integers(1, 120)),
                st.tuples(st.just("solo"), st.just(0)),
                st.tuples(st.just("short"), st.integers(0, 200)),
                st.tuples(st.just("refused"), st.just(0)),
            ),
            max_size=40,
        )
    )
    return policy, soft, hard, steps, draw(st.sampled_from([16, 64, 1 << 16])), draw(st.booleans())


@settings(max_examples=500, deadline=None)
@given(histories())
def test_everything_is_delivered_or_named_and_in_order(history):
    policy, soft, hard, steps, limit, asked = history
    outbox = Outbox(Bounds(policy=policy, soft=soft, hard=hard), gap)
    out, offset, solos, published = b"", 0, 0, []
    mergeable = (lambda topic: topic in "abc") if asked else None
    for step, value in [*steps, ("drain", 0)]:
        if step == "take":
            chunk = outbox.chunk(limit)
            if chunk is not None:
                taken = bytes(chunk[:value])
                out += taken
                outbox.took(len(taken))
        elif step == "solo":
            solos += 1
            outbox.solo(b"{%d}" % solos)
        elif step == "drain":
            out += drain(outbox, limit)
        else:
            messages = []
            for topic in value if step == "push" else "abca":
                offset += 1
                messages.append(message(offset, topic, offset % 5))
            published += messages
            batch = batch_of(messages, mergeable=mergeable)
            if step == "push" or outbox:
                outbox.push(batch, now=0.0)
            elif step == "short":
                taken = min(value, len(batch.blob) - 1)
                out += batch.blob[:taken]
                outbox.resume(batch, taken, now=0.0)
            else:
                outbox.refused(batch)
    assert outbox.size == 0
    delivered, lost, told = [], 0, 0
    while out:
        end = out.index({b"[": b"]", b"<": b">", b"{": b"}"}[out[:1]])
        frame, out = out[: end + 1], out[end + 1 :]
        if frame[:1] == b"[":
            delivered.append(int(frame.split(b":")[1]))
            assert frame == frame_of(published[delivered[-1] - 1])
        elif frame[:1] == b"<":
            lost += int(frame[1:-1].split(b":")[1])
        else:
            told += 1
            assert frame == b"{%d}" % told
    assert delivered == sorted(set(delivered))
    assert len(delivered) + lost == len(published)
    assert told == solos


def test_a_client_that_was_behind_gets_one_gap_and_then_all_as_before():
    outbox = outbox_of(soft=400, hard=4000)
    for n in range(1, 101):
        outbox.push(batch_of([message(n, topic="ab"[n % 2])]), now=0.0)
    out = drain(outbox)
    assert out == b"<1-98:98>" + frame_of(message(99, "b")) + frame_of(message(100, "a"))
    for n in range(101, 111):
        outbox.push(batch_of([message(n, topic="a")]), now=0.0)
    assert drain(outbox) == b"".join(frame_of(message(n, "a")) for n in range(101, 111))


def test_between_soft_and_a_quarter_of_it_the_policy_still_acts():
    outbox = outbox_of(soft=400, hard=4000)
    outbox.push(batch_of([message(n, topic=f"t{n}") for n in range(1, 60)]), now=0.0)
    while outbox.size > 250:
        outbox.took(len(outbox.chunk(32)))
    for n in (100, 101, 102):
        outbox.push(batch_of([message(n)]), now=0.0)
    out = drain(outbox)
    assert out.endswith(frame_of(message(102)))
    assert frame_of(message(101)) not in out


def test_replays_trip_no_bound():
    for policy in Policy:
        outbox = outbox_of(soft=100, hard=200, patience=0.0, policy=policy)
        outbox.push(Batch([b"r" * 50] * 100, None), now=None)
        live = [message(n) for n in range(1, 6)]
        outbox.push(batch_of(live), now=0.0)
        outbox.chunk(64)
        outbox.push(batch_of([message(6)]), now=0.0)
        assert not outbox.overdue(100.0)
        assert drain(outbox) == b"r" * 5000 + b"".join(map(frame_of, [*live, message(6)]))


def test_own_frames_without_end_end_the_client():
    outbox = outbox_of(soft=100, hard=200)
    with pytest.raises(Overflow):
        for _ in range(200):
            outbox.solo(b"state")


def test_those_who_fell_behind_together_do_not_merge_in_the_same_moment_for_ever():
    outboxes = [Outbox(Bounds(soft=20_000, hard=1 << 20), lambda ledger: b"") for _ in range(50)]
    most = 0
    for offset in range(1, 1000):
        topic = f"t/{offset % 100}"
        batch = Batch([b"x" * 150], [Message(topic, b"", 0.0, "u", offset=offset)])
        before = [outbox.ledger.count for outbox in outboxes]
        for outbox in outboxes:
            outbox.push(batch, now=0.0)
        merged = sum(outbox.ledger.count > lost for outbox, lost in zip(outboxes, before, strict=True))
        if offset > 300:  # all came past soft at once
            most = max(most, merged)
    assert all(outbox.size <= 2 * 20_000 for outbox in outboxes)
    assert 0 < most <= 10
