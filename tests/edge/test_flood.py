"""How much a client may send: saved up, spent, and back after a while."""

from gateway.edge.flood import Allowance, Flood

FLOOD = Flood(frames=2.0, frames_burst=3.0, bytes=10.0, bytes_burst=100.0)


def test_the_burst_may_be_sent_at_once_and_not_a_byte_more():
    allowance = Allowance(FLOOD, 0.0)
    assert allowance.take(100, 0.0)
    assert not allowance.take(1, 0.0)


def test_what_was_spent_comes_back_with_time_and_never_above_the_burst():
    allowance = Allowance(FLOOD, 0.0)
    allowance.take(100, 0.0)
    assert allowance.take(20, 2.0)
    assert allowance.take(100, 1000.0)
    assert not allowance.take(1, 1000.0)


def test_frames_have_a_budget_of_their_own():
    allowance = Allowance(FLOOD, 0.0)
    assert [allowance.take_frame() for _ in range(4)] == [True, True, True, False]
    allowance.take(0, 5.0)
    assert allowance.take_frame()
