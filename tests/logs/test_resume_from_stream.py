"""What clients that resume are owed, over a JetStream log."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.handover import OPERATIONS, TURNS, loses_nothing_and_repeats_nothing, stays_in_order
from support.streamtalk import stream_talk


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS, st.sampled_from((None, 0, 400)))
def test_the_hand_over_from_replay_to_live_loses_nothing_and_repeats_nothing(shared_nats, operations, late):
    with stream_talk(shared_nats, late) as talk:
        loses_nothing_and_repeats_nothing(talk, operations)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(TURNS, st.sampled_from((None, 0, 100)))
def test_one_subscription_sees_offsets_in_order_under_concurrent_publishing(shared_nats, operations, late):
    with stream_talk(shared_nats, late) as talk:
        stays_in_order(talk, operations)
