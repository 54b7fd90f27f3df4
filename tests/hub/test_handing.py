"""Along a row: each is given what it takes, who does not take all falls behind alone, who leaves is come by no more."""

import errno

import pytest
from support.hubhouse import House
from support.row import InRow
from support.volley import Volley

from gateway.hub.batch import Batch
from gateway.hub.handing import DIRECT, STRIDE, Pass, hand
from gateway.hub.message import Message
from gateway.hub.row import Row

MESSAGE = Message("t", b"1", 0.0, "u", offset=1)


class Viewer(InRow):
    """Takes at most `takes` bytes at once, or raises it."""

    def __init__(self, takes: int | OSError = 1 << 30) -> None:
        self.takes = takes
        self.got = b""

    def send(self, data: bytes) -> int:
        if isinstance(self.takes, OSError):
            raise self.takes
        self.got += data[: self.takes]
        return min(len(data), self.takes)


class Giver:
    """Remembers who fell behind, and how."""

    def __init__(self, volley: Volley | None = None) -> None:
        self.volley = volley
        self.batches = 0
        self.late: list[tuple[object, int, OSError | None]] = []

    def batch(self, frames, messages, blob):
        self.batches += 1
        return Batch(frames, messages, blob=blob)

    def behind(self, viewer, batch, taken, error):
        assert batch.blob
        self.late.append((viewer, taken, error))


def test_a_volley_goes_to_those_it_reaches_and_whoever_does_not_take_all_falls_behind_alone():
    full, gone = BlockingIOError(errno.EAGAIN, "full"), BrokenPipeError(errno.EPIPE, "gone")
    viewers = [Viewer(), Viewer(2), Viewer(full), Viewer(), Viewer(gone), Viewer(), Viewer(3)]
    volley = Volley()
    for viewer in (*viewers[:3], *viewers[4:6]):
        volley.place(viewer)
    viewers[0].queued = True
    row, giver = Row(viewers), Giver(volley)
    row.align()
    assert row.viewers[5:] == [viewers[3], viewers[6]]
    hand(giver, row, 0, 7, b"frame", [b"frame"], [MESSAGE], None)
    assert volley.fired == 1
    assert [viewer.got for viewer in viewers] == [b"", b"fr", b"", b"frame", b"", b"frame", b"fra"]
    assert {viewers.index(viewer): (taken, type(error)) for viewer, taken, error in giver.late} == {
        0: (-1, type(None)),
        1: (2, type(None)),
        2: (-1, BlockingIOError),
        4: (-1, BrokenPipeError),
        6: (3, type(None)),
    }
    assert giver.batches == 1


def test_a_volley_reaches_nobody_outside_the_stride():
    viewers = [Viewer() for _ in range(10)]
    volley = Volley()
    for viewer in viewers[:7]:
        volley.place(viewer)
    viewers[2].queued = viewers[5].queued = True
    row, giver = Row(viewers), Giver(volley)
    row.align()
    hand(giver, row, 4, 9, b"frame", [b"frame"], [MESSAGE], None)
    assert [viewer.got for viewer in viewers] == [b""] * 4 + [b"frame", b"", *[b"frame"] * 3, b""]
    assert [late[0] for late in giver.late] == [viewers[5]]


def test_few_get_a_send_each():
    viewers, volley = [Viewer() for _ in range(3)], Volley()
    volley.least = 4
    for viewer in viewers:
        volley.place(viewer)
    row = Row(viewers)
    row.align()
    hand(Giver(volley), row, 0, 3, b"frame", [b"frame"], [MESSAGE], None)
    assert volley.fired == 0
    assert [viewer.got for viewer in viewers] == [b"frame"] * 3


@pytest.mark.parametrize("aligned", [True, False], ids=["sends kept up", "sends not kept up"])
def test_who_does_not_take_all_falls_behind_and_nobody_else(aligned):
    full = BlockingIOError()
    viewers = [Viewer(), Viewer(2), Viewer(), Viewer(full), Viewer()]
    viewers[4].queued = True
    row, giver = Row(viewers), Giver()
    if aligned:
        row.align()
    hand(giver, row, 0, 5, b"frame", [b"frame"], [MESSAGE], None)
    assert [viewer.got for viewer in viewers] == [b"frame", b"fr", b"frame", b"", b""]
    assert giver.late[:1] == [(viewers[1], 2, None)]
    assert [(late[0], late[2]) for late in giver.late[1:]] == [(viewers[3], full), (viewers[4], None)]
    assert giver.late[2][1] == -1
    assert giver.batches == 1


def test_what_is_too_large_for_a_socket_at_once_goes_to_the_outboxes():
    viewers = [Viewer(), Viewer()]
    row, giver = Row(viewers), Giver()
    row.align()
    hand(giver, row, 0, 2, b"x" * (DIRECT + 1), [b"x" * (DIRECT + 1)], [MESSAGE], None)
    assert [viewer.got for viewer in viewers] == [b"", b""]
    assert giver.late == [(viewer, -1, None) for viewer in viewers]


def test_who_leaves_a_pass_is_come_by_no_more_and_told_whether_it_was_served():
    viewers = [Viewer() for _ in range(2 * STRIDE)]
    under_way, giver = Pass([b"a", b"b"], [MESSAGE, MESSAGE], Row(viewers)), Giver()
    assert not under_way.run(giver, lambda: 1.0, 0.0)
    assert not under_way.leave(viewers[0])
    assert under_way.leave(viewers[-1])
    assert not under_way.leave(viewers[-1])
    assert under_way.whole(giver).blob == b"ab"
    assert under_way.run(giver, lambda: 1.0, 0.0)
    assert [viewer.got for viewer in viewers] == [b"ab"] * (2 * STRIDE - 1) + [b""]


def test_who_is_left_alone_while_a_row_is_under_way_gets_what_is_in_it_once():
    house = House()
    viewers = [house.join("#") for _ in range(300)]
    house.clock.step = 0.003
    house.publish("a")
    house.turn()
    assert viewers[0].offsets == [1]
    assert viewers[-1].offsets == []
    for viewer in viewers[:-1]:
        house.hub.leave(viewer, viewer.audience)
    viewers[-1].queued = True
    house.publish("a")
    house.settle()
    assert viewers[-1].offsets == []
    viewers[-1].unblock()
    house.publish("a")
    house.settle()
    assert viewers[-1].offsets == [1, 2, 3]


def test_a_row_under_way_is_served_rightly_after_its_members_have_changed():
    house = House()
    viewers = [house.join("#") for _ in range(600)]
    house.clock.step = 0.003
    house.publish("a")
    house.turn()
    assert 0 < sum(viewer.sends for viewer in viewers) < 600
    assert all(viewer.placed for viewer in viewers)
    # Who joins makes a new row: those in the old one no longer keep up their place there.
    viewers.append(house.join("#"))
    house.publish("a")
    house.turn()
    viewers[-2].queued = True
    house.settle()
    assert viewers[-2].offsets == []
    viewers[-2].unblock()
    assert [viewer.offsets for viewer in viewers] == [[1, 2]] * 600 + [[2]]


def test_a_turn_is_cut_into_slices_and_loses_nothing():
    house = House()
    viewers = [house.join("#") for _ in range(300)]
    house.clock.step = 0.003
    house.publish("a")
    house.turn()
    served = sum(bool(viewer.got) for viewer in viewers)
    assert 0 < served < 300
    assert house.hub.busy
    house.publish("a")
    house.settle()
    assert all(viewer.offsets == [1, 2] for viewer in viewers)
    assert not house.hub.busy
