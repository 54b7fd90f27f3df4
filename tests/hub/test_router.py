"""Ways of topics: found once, forgotten when filters come and go, within their share of the memory."""

import pytest
from support.row import InRow

from gateway.hub.audience import Audience
from gateway.hub.lastvalues import LastValues
from gateway.hub.message import Message
from gateway.hub.router import GROUPS, Router
from gateway.hub.row import Turnover
from gateway.hub.subscription import AudienceKey, Subscription
from gateway.hub.wheel import Wheel


class Variant:
    def encoder(self, topic, view):
        return lambda message: message.payload


class Viewer(InRow):
    def send(self, data):
        return len(data)


class House:
    def __init__(self, *topics, limit=1 << 20):
        self.now = 0.0
        self.kept = set()
        self.values = LastValues(10_000, limit)
        self.router = Router(self.values, keeps=self.kept.__contains__, clock=lambda: self.now, turnover=Turnover())
        self.variant = Variant()
        self.wheel = Wheel(lambda: self.now, lambda delay, function: None)
        self.topics = {name: self.values.meet(name, 0) for name in topics}

    def add(self, *filters, interval=0.0, denies=(), viewer=None):
        table = tuple(Subscription(each, interval=interval) for each in filters)
        audience = Audience(
            AudienceKey(self.variant, table, denies),
            wheel=self.wheel,
            touch=lambda audience: None,
            room=self.values.paces,
        )
        audience.join(viewer or Viewer())
        self.router.add(audience)
        return audience

    def route(self, name):
        topic = self.topics[name]
        return [audience for way in self.router.route(topic, name) for audience in way.audiences]


def test_those_who_get_the_same_bytes_are_one_group_and_denies_are_left_out():
    house = House("a/b")
    audiences = {house.add("a/#"), house.add("+/b"), house.add("a/b", "c")}
    house.add("#", denies=("a/+",))
    house.add("c")
    [way] = house.router.route(house.topics["a/b"], "a/b")
    assert set(way.audiences) == audiences
    assert set(house.router.followers("a/b")) == {viewer for each in audiences for viewer in each.members}


@pytest.mark.parametrize("filter", ["a", "+", "#"])
def test_filters_that_come_or_go_let_the_topics_they_match_find_their_way_anew(filter):
    house = House("a", "b/c")
    house.add("#")
    for name in house.topics:
        house.route(name)
    audience = house.add(filter)
    assert house.topics["a"].routes is None
    assert (house.topics["b/c"].routes is None) == (filter == "#")
    assert audience in house.route("a")
    house.router.remove(audience)
    assert house.topics["a"].routes is None
    assert audience not in house.route("a")


def test_what_ways_take_is_counted_until_they_are_forgotten():
    house = House("a", "b")
    house.add("#")
    house.route("a")
    once = house.values.routed
    house.route("b")
    assert house.values.routed == 2 * once > 0
    house.router.remove(house.add("b"))
    assert house.values.routed == once
    house.values.unroute()
    assert house.values.routed == 0


def test_intervals_for_which_there_is_no_room_are_left_out_until_others_are_over():
    house = House(*map(str, range(200)), limit=100 * 256 * 4)
    audience = house.add("#", interval=10.0)
    for number in range(100):
        assert house.route(str(number)) == []
        [pace] = house.topics[str(number)].paces
        pace.take(Message(str(number), b"1", 0.0, "u", offset=1), house.now)
    assert house.route("100") == [audience]
    assert (house.router.unpaced, house.values.paces.count) == (1, 100)
    house.now = 20.0
    del pace
    assert house.route("100") == []
    assert (house.router.unpaced, house.values.paces.count) == (1, 1)


def test_topics_whose_messages_are_all_kept_have_no_interval():
    house = House("alarm")
    house.kept.add("alarm")
    audience = house.add("#", interval=10.0)
    assert house.route("alarm") == [audience]
    assert house.topics["alarm"].paces is None


def test_however_many_groups_there_are_each_is_found_and_forgotten():
    house = House("a/b")
    audiences = []
    for _ in range(3):
        for _ in range(GROUPS + 4):
            house.variant = Variant()
            audiences += [house.add("a/b"), house.add("a/+"), house.add("#", denies=("a/#",))]
    wanted = [audience for audience in audiences if not audience.key.denies]
    assert set(house.route("a/b")) == set(wanted)
    assert len(house.route("a/b")) == len(wanted)
    for audience in wanted[: len(wanted) // 2]:
        house.router.remove(audience)
    # Room for other groups, one of which has members among those that found none.
    again = house.add("a/b")
    assert set(house.route("a/b")) == {*wanted[len(wanted) // 2 :], again}
    for audience in [*wanted[len(wanted) // 2 :], again]:
        house.router.remove(audience)
    assert house.route("a/b") == []


def test_one_form_of_a_message_is_encoded_once_for_those_with_and_without_denies():
    house = House("a/b")
    plain, denied = house.add("a/b"), house.add("a/b", denies=("x",))
    [way] = house.router.route(house.topics["a/b"], "a/b")
    assert set(way.audiences) == {plain, denied}
