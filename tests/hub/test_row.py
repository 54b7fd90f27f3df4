"""Who stands where, and what stands for whoever is behind."""

from support.row import InRow

from gateway.hub.row import Row, held
from gateway.hub.volley import NOWHERE


class Viewer(InRow):
    def send(self, blob):
        return len(blob)


def test_each_keeps_up_its_own_place():
    viewers = [Viewer() for _ in range(3)]
    viewers[1].queued = True
    row = Row(viewers)
    row.align()
    assert row.sends == [viewers[0].send, held, viewers[2].send]
    viewers[1].queued, viewers[2].queued = False, True
    assert row.sends == [viewers[0].send, viewers[1].send, held]


def test_those_in_a_volley_stand_first_with_their_slots_while_they_take_what_comes():
    viewers = [Viewer() for _ in range(4)]
    viewers[1].slot, viewers[3].slot = 7, 5
    viewers[3].queued = True
    row = Row(viewers)
    row.align()
    assert row.viewers == [viewers[1], viewers[3], viewers[0], viewers[2]]
    assert (list(row.slots), row.away) == ([7, NOWHERE], 1)
    viewers[3].queued = False
    assert (list(row.slots), row.away) == ([7, 5], 0)
    viewers[1].queued = viewers[0].queued = True
    assert (list(row.slots), row.away) == ([NOWHERE, 5], 1)
    assert row.sends == [held, viewers[3].send, held, viewers[2].send]


def test_a_row_that_nobody_keeps_up_stays_as_it_is():
    viewers = [Viewer(), Viewer()]
    viewers[0].slot = 1
    row = Row(viewers)
    row.align()
    row.sends = None
    viewers[0].queued = True
    assert list(row.slots) == [1]


def test_what_stands_for_somebody_behind_takes_nothing():
    assert held(b"frame") < 0


def test_a_row_less_one_keeps_the_order_of_the_others_and_nobody_keeps_it_up():
    viewers = [Viewer() for _ in range(3)]
    row = Row(viewers)
    row.align()
    less = row.without(viewers[1])
    assert less.viewers == [viewers[0], viewers[2]]
    assert less.sends is None
