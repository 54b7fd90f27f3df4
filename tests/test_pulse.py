from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pulse import BEAT, until_beat


@given(st.floats(0, 1e7), st.sampled_from([BEAT, 2 * BEAT]))
def test_timers_meet_on_multiples_of_their_period(now: float, period: float) -> None:
    wait = until_beat(now, period)
    assert 0 < wait <= 1.1 * period
    assert (now + wait) / period == pytest.approx(round((now + wait) / period), abs=1e-6)


def test_a_timer_that_fires_a_hair_too_early_skips_no_beat_and_repeats_none() -> None:
    now, beats = 3.14, []
    for _ in range(20):
        now += until_beat(now) - 1e-9
        beats.append(now)
    assert all(later - earlier == pytest.approx(BEAT, abs=1e-6) for earlier, later in pairwise(beats))
