from types import SimpleNamespace
from typing import Any

from gateway.lifecycle.answers import furthest_behind


def test_of_many_clients_those_furthest_behind_are_told() -> None:
    """The oldest were, so that above two hundred clients `top` had not the one that it was looked at for."""
    many: list[Any] = [SimpleNamespace(number=number, queue_size=0, lost=0) for number in range(300)]
    many[250].lost = 7
    many[280].queue_size = 1000
    assert [each.number for each in furthest_behind(many, 3)] == [280, 250, 0]
