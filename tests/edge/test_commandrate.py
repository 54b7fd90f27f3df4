"""What commands cost, and the end of who does not listen."""

import pytest

from gateway.edge.commandrate import CommandRate
from gateway.errors import CloseConnection, CommandError


def test_five_seconds_worth_may_come_at_once_and_not_one_more():
    rate = CommandRate(2.0, 0.0)
    for number in range(10):
        rate.pay(number, 0.0)
    with pytest.raises(CommandError) as refused:
        rate.pay("id", 0.0)
    assert (refused.value.code, refused.value.id) == ("too-fast", "id")


def test_a_command_is_affordable_again_after_its_time():
    rate = CommandRate(2.0, 0.0)
    for number in range(10):
        rate.pay(number, 0.0)
    rate.pay(1, 0.5)


def test_who_goes_on_for_another_burst_is_ended():
    rate = CommandRate(2.0, 0.0)
    for number in range(10):
        rate.pay(number, 0.0)
    for number in range(10):
        with pytest.raises(CommandError):
            rate.pay(number, 0.0)
    with pytest.raises(CloseConnection) as end:
        rate.pay(1, 0.0)
    assert end.value.code == 4429


def test_a_costly_command_is_paid_by_those_behind_it():
    rate = CommandRate(2.0, 0.0)
    rate.charge(9.5)
    with pytest.raises(CommandError):
        rate.pay(1, 0.0)
