import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.backoff import Backoff


@given(st.integers(), st.floats(0.01, 10), st.floats(1, 50))
def test_every_wait_lies_between_minimum_and_maximum(seed: int, minimum: float, factor: float) -> None:
    maximum = minimum * factor
    backoff = Backoff(minimum, maximum, uniform=random.Random(seed).uniform)

    waits = [backoff.next() for _ in range(50)]

    assert all(minimum <= wait <= maximum for wait in waits)


def test_waits_grow_until_the_maximum() -> None:
    backoff = Backoff(1, 30, uniform=lambda low, high: high)

    assert [backoff.next() for _ in range(5)] == [3, 9, 27, 30, 30]


def test_waits_of_two_gateways_differ() -> None:
    one, other = Backoff(1, 30, uniform=random.Random(1).uniform), Backoff(1, 30, uniform=random.Random(2).uniform)

    assert [one.next() for _ in range(5)] != [other.next() for _ in range(5)]


def test_a_reset_makes_the_next_wait_short_again() -> None:
    backoff = Backoff(1, 30, uniform=lambda low, high: high)
    for _ in range(5):
        backoff.next()

    backoff.reset()

    assert backoff.next() == 3


def test_slow_waits_double_up_to_a_quarter_of_an_hour_by_default() -> None:
    backoff = Backoff(1, 30, uniform=lambda low, high: high)

    waits = [backoff.next_slow() for _ in range(6)]

    assert waits == [60, 120, 240, 480, 900, 900]
