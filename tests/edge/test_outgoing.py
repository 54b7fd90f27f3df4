"""A client's place in its audience's row."""

from types import SimpleNamespace

import pytest

from gateway.edge.outgoing import Outgoing
from gateway.edge.states import State
from gateway.hub.audience import Audience
from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Policy
from gateway.hub.row import Row, held
from gateway.hub.subscription import AudienceKey, Subscription
from gateway.hub.volley import NOWHERE


class Socket:
    """Takes `room` bytes, then blocks."""

    secure, offer, slot = False, 1 << 18, 0

    def __init__(self):
        self.room, self.taken = 10, b""

    def send(self, blob):
        if not self.room:
            raise BlockingIOError
        part = bytes(blob[: self.room])
        self.room -= len(part)
        self.taken += part
        return len(part)

    def want_write(self):
        pass

    stop_writing = want_write


@pytest.fixture
def client():
    host = SimpleNamespace(bounds=Bounds(), budget=Budget(), clock=lambda: 0.0)
    owner = SimpleNamespace(state=State.OPEN, session=None, host=host, sacrificed=None, drained=lambda: None)
    return Outgoing(Socket(), owner)


def batch(blob):
    return Batch([blob], [Message("a", b"1", 0.0, "u")], blob=blob)


@pytest.mark.parametrize(
    "fall_behind",
    [
        lambda client: client.push(batch(b"0123456789abcdef")),
        lambda client: client.deliver(b"0123456789abcdef"),
        lambda client: client.short(batch(b"0123456789abcdef"), client.send(b"0123456789abcdef")),
        lambda client: (client.send(b"0123456789"), client.failed(batch(b"abcdef"), BlockingIOError())),
        lambda client: (client.control(b"0123456789abcdef"), client.kick()),
    ],
    ids=["push", "deliver", "short", "failed", "control"],
)
def test_its_place_says_held_from_the_byte_that_waits_to_the_one_that_has_gone(client, fall_behind):
    sends = [None, None]
    client.stand(sends, 1)
    assert sends == [None, client.send]
    fall_behind(client)
    assert client.queued
    assert sends == [None, held]
    client._transport.room = 100
    client.pump()
    assert client._transport.taken == b"0123456789abcdef"
    assert sends == [None, client.send]


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.push(batch(b"0123456789")),
        lambda client: client.deliver(b"0123456789"),
        lambda client: (client.control(b"0123456789"), client.kick()),
    ],
    ids=["push", "deliver", "control"],
)
def test_its_place_is_left_alone_where_the_socket_takes_all_at_once(client, send):
    class Place:
        changes = 0

        def __setitem__(self, place, send):
            self.changes += 1

    place = Place()
    client.stand(place, 0)
    send(client)
    assert client._transport.taken == b"0123456789"
    assert not client.queued
    assert place.changes == 1


def test_who_is_behind_already_stands_as_held(client):
    client.deliver(b"0123456789abcdef")
    sends = [None]
    client.stand(sends, 0)
    assert sends == [held]


def test_only_the_newest_place_is_kept_up(client):
    old, new = [None], [None]
    client.stand(old, 0)
    client.stand(new, 0)
    client.push(solo(b"0123456789abcdef"))
    assert (old, new) == ([client.send], [held])


@pytest.mark.parametrize("end", ["told", "clear", "close"])
def test_what_is_dropped_for_it_counts_at_once_and_once(client, end):
    client._owner.host.bounds = Bounds(soft=16, policy=Policy.DROP_OLDEST)
    client._owner.session = SimpleNamespace(dialect=SimpleNamespace(event=lambda event: b"gap"))
    for _ in range(5):
        client.push(batch(b"0123456789abcdef"))
    assert client.queued
    assert (lost := client.lost) >= 3
    if end == "told":
        client._transport.room = 1000
        client.pump()
        assert b"gap" in client._transport.taken
    else:
        getattr(client, end)()
    assert client.lost == lost


def test_when_its_socket_is_to_be_closed_its_place_reaches_nobody_any_more(client):
    row = Row([client])
    row.align()
    assert row.sends == [client.send]
    client.end()
    assert row.sends == [held]
    client.restand()
    assert row.sends == [held]


def test_a_slot_that_it_gets_later_is_told_in_its_place(client):
    audience = Audience(AudienceKey(0, (Subscription("#"),)))
    audience.join(client)
    client._transport.slot = 5
    assert audience.slot == NOWHERE
    client.restand()
    assert audience.slot == 5
    client.push(batch(b"0123456789abcdef"))
    assert audience.slot == NOWHERE


@pytest.mark.parametrize("error", [None, BlockingIOError(), OSError("gone")])
def test_what_a_volley_says_of_one_that_is_gone_since_holds_nothing(client, error):
    client._owner.state = State.GONE
    if error is None:
        client.short(batch(b"0123456789"), 3)
    else:
        client.failed(batch(b"0123456789"), error)
    assert client.size == 0
    assert not client.queued
