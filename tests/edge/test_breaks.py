"""Where messages passed by upstream: nothing that a client has to be told is forgotten, however many there are."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.breaks import MOST, Breaks


def test_without_any_there_is_nothing_to_tell():
    assert Breaks().since(0) is None


def test_those_at_or_behind_an_offset_are_told_from_the_first_to_the_last():
    breaks = Breaks()
    for offset in (5, 5, 9, 20):
        breaks.note(offset)
    assert breaks.since(0) == (5, 20)
    assert breaks.since(6) == (9, 20)
    assert breaks.since(20) == (20, 20)
    assert breaks.since(21) is None


def test_what_earlier_runs_knew_of_is_told_to_who_has_less():
    kept = []
    breaks = Breaks(kept.append)
    breaks.recall(20)
    assert breaks.since(21) is None
    assert breaks.since(20) == (20, 20)
    assert breaks.since(7) == (7, 20)  # there may have been others
    breaks.note(30)
    breaks.note(30)
    assert breaks.since(25) == (30, 30)
    assert breaks.since(7) == (7, 30)
    assert kept == [30]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 200))
def test_a_client_is_told_of_a_loss_exactly_where_one_lies_behind_what_it_has(steps, offset):
    breaks, at, noted = Breaks(), 0, []
    for step in steps:
        at += step
        breaks.note(at)
        noted.append(at)
    found = breaks.since(offset)
    behind = [each for each in noted if each >= offset]
    assert found == ((behind[0], behind[-1]) if behind else None)


def test_a_broker_that_flaps_for_ever_takes_no_memory_for_ever_and_no_loss_is_hidden():
    breaks = Breaks()
    for offset in range(3 * MOST):
        breaks.note(offset)
    assert len(breaks._offsets) <= MOST
    for offset in range(0, 3 * MOST, 7):
        assert breaks.since(offset) == (offset, 3 * MOST - 1)
