"""A client's place in its audience's row."""

from types import SimpleNamespace

import pytest

from gateway.edge.outgoing import Outgoing
from gateway.edge.states import State
from gateway.hub.batch import Batch, solo
from gateway.hub.budget import Budget
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Policy
from gateway.hub.row import held


class Socket:
    """Takes `room` bytes, then blocks."""

    secure, offer = False, 1 << 18

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
