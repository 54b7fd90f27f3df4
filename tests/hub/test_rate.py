"""The self-tuning rate: up within seconds, down slowly, slower where it came down too soon."""

from itertools import pairwise

from gateway.hub.rate import CALM, LOOKS, STEPS, Pressure, Rate

BEHIND, FREE = Pressure(True), Pressure(False)


def looks(rate, pressure, start, seconds):
    return [(now, rate.interval) for now in range(start, start + seconds) if rate.look(pressure, now)]


def test_a_burst_changes_nothing():
    rate = Rate(0.0)
    for second in range(0, 100, 2):
        assert not rate.look(BEHIND, float(second))
        assert not rate.look(FREE, second + 1.0)
    assert rate.interval == 0.0


def test_a_socket_that_takes_nothing_is_at_the_longest_interval_within_seconds():
    rate = Rate(0.0)
    changes = looks(rate, BEHIND, 1, 6)
    assert changes[0][0] == LOOKS
    assert changes[-1][1] == STEPS[-1] == 10.0
    assert "nothing" in rate.reason


def test_the_interval_is_what_a_round_of_values_takes_on_the_link():
    rate = Rate(0.0)
    pressure = Pressure(True, waiting=40_000, taken=100_000)
    assert looks(rate, pressure, 1, 2)[-1][1] == 0.5
    assert rate.reason == "the connection takes 97.7 KiB/s"


def test_it_comes_down_step_by_step_and_slowly():
    rate = Rate(0.0)
    looks(rate, BEHIND, 1, 10)
    changes = looks(rate, FREE, 11, 200)
    assert [interval for _, interval in changes] == list(reversed(STEPS[:-1]))
    assert all(later[0] - earlier[0] >= CALM for earlier, later in pairwise(changes))


def test_a_step_down_that_was_one_too_many_makes_the_next_wait_longer():
    rate = Rate(0.0)
    looks(rate, BEHIND, 1, 2)
    top = rate.interval
    [(first, _), *_] = looks(rate, FREE, 3, 12)
    looks(rate, BEHIND, 15, 2)
    assert rate.interval >= top
    [(second, _), *_] = looks(rate, FREE, 17, 40)
    assert first - 3 < second - 17


def test_steps_are_those_that_were_promised():
    assert STEPS[1:] == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
