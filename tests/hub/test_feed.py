"""Where links put what they receive."""

import pytest
from support.hubhouse import House

from gateway.hub.breath import FLOOD
from gateway.hub.feed import Feed
from gateway.hub.message import Message


@pytest.fixture
def house() -> House:
    return House()


def test_it_is_out_before_the_next_turn_and_then_may_be_acknowledged(house: House) -> None:
    viewer = house.join("#")
    house.clock.now = 1.0
    told = []
    Feed(house.hub, house.log).publish([Message("a", b"1", 0.0, "u")], lambda: told.append(viewer.offsets))
    assert viewer.offsets == [1]
    assert len(told) == 1
    assert not house.turns


def test_it_waits_for_a_log_that_is_behind(house: House) -> None:
    feed = Feed(house.hub, house.log)
    assert not feed.busy
    house.log.busy = True
    assert feed.busy


def test_it_waits_for_a_hub_that_is_behind(house: House) -> None:
    feed = Feed(house.hub, house.log)
    house.join("#").queued = True
    for _ in range(FLOOD):
        house.publish("a")
    house.settle()
    assert feed.busy
