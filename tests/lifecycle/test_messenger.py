"""What one wing tells the viewers of another."""

from types import SimpleNamespace
from typing import Any

import pytest

from devices.reading import DeviceState
from gateway.hub.freshness import Change
from gateway.hub.ports import CONNECTED, UpstreamState
from gateway.lifecycle.messenger import Messenger


class Announcer:
    """Notes what viewers would be told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *facts: self.said.append((name, *facts))


class House(SimpleNamespace):
    """The parts that are told, and `turn`: the loop's next one."""

    def __init__(self, *, shared: bool = False, follows: bool = True) -> None:
        self.announcer = Announcer()
        self.log = SimpleNamespace(suspect=False)
        self.server = SimpleNamespace(announcer=self.announcer, room=SimpleNamespace(log=self.log))
        self.upstreams = SimpleNamespace(clock_suspect=False, follows=lambda name: follows)
        self.others: list[str] = []
        self.shared = SimpleNamespace(tell_gap=self.others.append) if shared else None
        self.turns: list[tuple[Any, ...]] = []
        self.messenger = Messenger(self, lambda *turn: self.turns.append(turn))  # type: ignore[arg-type]

    def turn(self) -> None:
        for do, *facts in self.turns:
            do(*facts)


@pytest.mark.parametrize("suspect", [True, False])
def test_a_link_that_changes_tells_also_whether_the_clock_is_right(suspect: bool) -> None:
    house = House()
    house.log.suspect, house.upstreams.clock_suspect = not suspect, suspect
    state = UpstreamState("barn", CONNECTED, 0.0)
    house.messenger.upstream_changed(state)
    assert house.announcer.said == [("clock_judged", suspect), ("upstream_changed", state)]
    assert house.log.suspect is suspect


def test_a_loss_upstream_is_told_to_the_viewers_here() -> None:
    house = House()
    house.messenger.upstream_gap("barn")
    assert house.announcer.said == [("upstream_gap", "barn")]


@pytest.mark.parametrize("follows", [True, False])
def test_behind_a_shared_log_who_follows_tells_every_gateway(follows: bool) -> None:
    house = House(shared=True, follows=follows)
    house.messenger.upstream_gap("barn")
    assert house.others == (["barn"] if follows else [])
    assert house.announcer.said == []


def test_what_the_hub_notices_in_the_middle_of_a_turn_is_told_in_the_next() -> None:
    """To tell a client may let it join an audience, of which the hub is handing out the messages."""
    house = House()
    change = Change("a", True, 60.0, 30.0)
    state = DeviceState("lamp", True)
    house.messenger.freshness_changed(change)
    house.messenger.device_changed("b", state)
    assert house.announcer.said == []
    house.turn()
    assert house.announcer.said == [("freshness_changed", change), ("device_changed", "b", state)]
