"""Who stands where, and what stands for whoever is behind."""

from support.row import InRow

from gateway.hub.row import Row, held


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


def test_what_stands_for_somebody_behind_takes_nothing():
    assert held(b"frame") < 0


def test_a_row_less_one_keeps_the_order_of_the_others_and_nobody_keeps_it_up():
    viewers = [Viewer() for _ in range(3)]
    row = Row(viewers)
    row.align()
    less = row.without(viewers[1])
    assert less.viewers == [viewers[0], viewers[2]]
    assert less.sends is None
