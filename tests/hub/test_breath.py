"""How long a flood waits for those who fall behind: for the fast ones until they have it, for nobody else."""

import pytest

from gateway.hub.breath import BREATH, FAST, FLOOD, FLOOD_RATE, STALL, Breath
from gateway.hub.budget import SLOW, Budget
from gateway.hub.outbox import Bounds, Outbox


class House:
    def __init__(self) -> None:
        self.now = 0.0
        self.budget = Budget()
        self.breath = Breath(self.budget, lambda: self.now)

    def behind(self) -> Outbox:
        outbox = Outbox(Bounds(), lambda ledger: b"", budget=self.budget)
        outbox.solo(b"x" * (1 << 26))
        self.budget.open(outbox)
        return outbox

    def wait(self, outbox: Outbox | None = None, rate: float = 0.0, longest: float = 1.0) -> float:
        """Seconds until it ends, while `outbox` takes `rate` bytes a second."""
        begin = self.now
        while self.breath.holds() and self.now - begin < longest:
            self.now += BREATH
            if outbox is not None and rate:
                outbox.chunk(1 << 20)
                outbox.took(int(rate * BREATH))
        return self.now - begin


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize(
    ("messages", "size", "begins"),
    [
        (FLOOD, 1, True),
        (1, int(FLOOD_RATE), True),
        (FLOOD - 1, int(FLOOD_RATE) - 1, False),
    ],
    ids=["many messages", "large messages", "a trickle"],
)
def test_a_flood_makes_it_begin_and_a_trickle_does_not(house: House, messages: int, size: int, begins: bool) -> None:
    house.breath.judge(messages, size, 1.0)
    assert house.breath.holds() is begins


def test_it_ends_with_its_time_where_nobody_is_behind_any_more(house: House) -> None:
    house.breath.begin()
    assert house.breath.holds()
    assert house.wait() == pytest.approx(BREATH)


def test_it_goes_on_while_those_behind_take_much(house: House) -> None:
    outbox = house.behind()
    house.breath.begin()
    assert house.wait(outbox, 2 * FAST, longest=0.5) >= 0.5
    house.budget.close(outbox)
    assert house.wait() == pytest.approx(0.0, abs=1.5 * BREATH)


def test_who_was_fast_is_waited_for_a_while_without_a_byte(house: House) -> None:
    outbox = house.behind()
    house.breath.begin()
    house.wait(outbox, 2 * FAST, longest=0.1)
    assert house.wait() == pytest.approx(STALL, abs=2 * BREATH)
    house.breath.begin()
    assert house.wait() == pytest.approx(STALL, abs=2 * BREATH)


@pytest.mark.parametrize("rate", [0.0, FAST / 10])
def test_a_slow_network_is_waited_for_once_and_then_no_longer(house: House, rate: float) -> None:
    outbox = house.behind()
    house.breath.begin()
    assert house.wait(outbox, rate) == pytest.approx(STALL, abs=2 * BREATH)
    house.breath.begin()
    assert house.wait(outbox, rate) == pytest.approx(BREATH)


def test_who_has_been_behind_for_long_is_not_waited_for(house: House) -> None:
    fast, stuck = house.behind(), house.behind()
    for _ in range(SLOW):
        house.budget.tick()
    house.budget.close(fast)
    fast = house.behind()
    house.breath.begin()
    house.wait(fast, 2 * FAST, longest=0.1)
    house.budget.close(fast)
    assert house.wait() == pytest.approx(0.0, abs=1.5 * BREATH)
    assert house.budget.late == 0
    house.budget.close(stuck)
    assert house.budget.late == 0
