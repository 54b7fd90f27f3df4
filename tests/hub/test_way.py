"""The way of a topic: its row of sends is right whenever somebody is served by it, its counts are booked later."""

import pytest
from support.row import InRow

from gateway.hub.audience import Audience
from gateway.hub.row import Turnover, held
from gateway.hub.subscription import AudienceKey, Subscription
from gateway.hub.volley import NOWHERE
from gateway.hub.way import Way


class Viewer(InRow):
    def send(self, data):
        return len(data)


@pytest.fixture
def turnover():
    return Turnover()


@pytest.fixture
def way(turnover):
    return Way(lambda message: b"", turnover)


def join(way, turnover, viewer):
    audience = Audience(AudienceKey(0, (Subscription("#"),)), turnover=turnover)
    audience.join(viewer)
    way.audiences.append(audience)
    return audience


def test_its_sends_are_those_of_the_only_members(way, turnover):
    viewers = [Viewer() for _ in range(3)]
    for viewer in viewers:
        join(way, turnover, viewer)
    assert way.sends() == [viewer.send for viewer in viewers]


def test_who_has_to_wait_is_held_until_nothing_waits(way, turnover):
    first, second = Viewer(), Viewer()
    for viewer in (first, second):
        join(way, turnover, viewer)
    way.sends()
    first.queued = True
    assert way.sends() == [held, second.send]
    first.queued = False
    assert way.sends() == [first.send, second.send]


def test_beside_its_sends_are_their_slots_in_the_volley(way, turnover):
    first, second, third = Viewer(), Viewer(), Viewer()
    first.slot, third.slot = 3, 9
    for viewer in (first, second, third):
        join(way, turnover, viewer)
    way.sends()
    assert (list(way.slots), way.away) == ([3, NOWHERE, 9], 1)
    third.queued = True
    way.sends()
    assert (list(way.slots), way.away) == ([3, NOWHERE, NOWHERE], 2)
    third.queued = False
    other = Viewer()
    other.slot = 4
    way.audiences[0].join(other)
    way.sends()
    assert (list(way.slots), way.away) == ([NOWHERE, NOWHERE, 9], 2)


def test_an_audience_of_more_than_one_is_held(way, turnover):
    first, second = Viewer(), Viewer()
    audience = join(way, turnover, first)
    way.sends()
    audience.join(second)
    assert way.sends() == [held]
    audience.leave(first, gone=True)
    assert way.sends() == [second.send]


def test_a_row_is_made_anew_only_where_somebody_alone_changed(way, turnover):
    join(way, turnover, Viewer())
    crowd = Audience(AudienceKey(0, (Subscription("a"),)), turnover=turnover)
    crowd.join(Viewer())
    crowd.join(Viewer())
    row = way.sends()
    crowd.join(Viewer())
    assert way.sends() is row


def test_what_was_served_is_booked_once(way, turnover):
    audiences = [join(way, turnover, Viewer()) for _ in range(2)]
    audiences[1].sent_at = 9.0
    way.served, way.served_at = 3, 7.0
    way.settle()
    way.settle()
    assert [(each.delivered, each.sent_at) for each in audiences] == [(3, 7.0), (3, 9.0)]
