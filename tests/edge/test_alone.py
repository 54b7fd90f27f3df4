"""A client that acknowledges: what goes out, what waits, and when it is ended."""

from types import SimpleNamespace

import pytest
from support.conversation import House

from gateway.edge.alone import FRAMES, Alone
from gateway.edge.dialects.window import Window
from gateway.edge.outgoing import Outgoing
from gateway.edge.states import State
from gateway.hub.batch import Batch
from gateway.hub.budget import Budget
from gateway.hub.message import Message
from gateway.hub.outbox import Bounds, Policy

QOS_1 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\x82\x06\x00\x01\x00\x01#\x01"


class Taker:
    """A socket that takes everything."""

    secure, offer, taken = False, 1 << 18, 0

    def send(self, blob):
        self.taken += len(blob)
        return len(blob)

    def stop_writing(self):
        pass


def follower(house, **bounds):
    client = house.client("mqtt", bounds=Bounds(**bounds))
    client.say(QOS_1)
    return client


def acknowledge(client, *numbers):
    return client.say(b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in numbers))


def test_nothing_goes_past_hard_until_it_is_acknowledged():
    house = House()
    client = follower(house, soft=10_000, hard=100)
    for number in range(30):
        house.publish(f"t{number:02}", b"x")
    assert len(client.heard()) == 9, "12 bytes each"
    assert len(acknowledge(client, 1, 2)) == 2
    assert len(acknowledge(client, 3)) == 1


def test_what_waits_is_merged_as_the_policy_says():
    house = House()
    client = follower(house, soft=50, hard=100)
    for number in range(200):
        house.publish(f"t{number % 3}", b"%03d" % number)
    first = [frame[-3:] for frame in client.heard()]
    rest = []
    for number in range(1, 40):
        rest += [frame[-3:] for frame in acknowledge(client, number)]
    assert first == [b"%03d" % number for number in range(len(first))]
    assert rest[-3:] == [b"197", b"198", b"199"]
    assert len(rest) < 30


def test_a_client_that_shall_be_disconnected_is_aborted():
    house = House()
    client = follower(house, policy=Policy.DISCONNECT, soft=50, hard=100)
    for number in range(30):
        house.publish(f"t{number}", b"x")
    assert client.line.aborted


@pytest.mark.parametrize(("seconds", "aborted"), [(25, False), (35, True)])
def test_patience_ends_for_whoever_stays_past_hard(seconds, aborted):
    house = House()
    client = follower(house, policy=Policy.DROP_OLDEST, soft=1000, hard=100, patience=30.0)
    for number in range(100):
        house.publish(f"t{number}", b"x" * 20)
    client.beat(seconds)
    assert client.line.aborted is aborted


def test_an_answer_waits_for_no_acknowledgement():
    house = House()
    client = follower(house, soft=1000, hard=20)
    for number in range(10):
        house.publish(f"t{number}", b"x")
    client.heard()
    assert client.say(b"\xc0\x00") == [b"\xd0\x00"]


def test_a_replay_is_let_go_as_it_is_acknowledged():
    house = House()
    for number in range(50):
        house.publish(f"t{number:02}", b"x")
    client = house.client("mqtt", bounds=Bounds(hard=100))
    got = [frame for frame in client.say(QOS_1) if frame[0] & 0xF0 == 0x30]
    while len(got) < 50:
        more = acknowledge(client, int.from_bytes(got[-1][7:9], "big"))
        assert more
        got += more
    assert [frame[4:7] for frame in got] == [b"t%02d" % number for number in range(50)]
    assert {frame[0] for frame in got} == {0x33}, "QoS 1 and retained"


def test_a_client_that_goes_on_to_qos_1_loses_nothing():
    house = House()
    client = house.client("mqtt")
    client.say(QOS_1[:-1] + b"\x00")
    house.publish("t", b"1")
    client.heard()
    client.say(b"\x82\x06\x00\x02\x00\x01t\x01")
    house.publish("t", b"2")
    assert sorted(client.heard()) == [b"\x32\x06\x00\x01t\x00\x022"], "the retained one had the first identifier"
    client.session.end()
    assert house.hub.audiences == 0


def test_a_window_that_opens_wide_is_filled_in_one_go_however_much_waits():
    """The socket that had taken it all said so, which let go the next part, and so on, each inside the one before."""
    window = Window(lambda frame: (frame, ()), count=0)
    owner = SimpleNamespace(
        state=State.OPEN,
        session=None,
        host=SimpleNamespace(bounds=Bounds(soft=1 << 20), budget=Budget(), clock=lambda: 0.0),
        sacrificed=None,
        drained=lambda: alone.release(),
    )
    line = Outgoing(Taker(), owner)
    alone = Alone(line, window, lambda: 0.0)
    for number in range(400):
        alone.push(Batch([b"x"] * FRAMES, [Message(f"t{number}", b"1", 0.0, "u")] * FRAMES))
    window.count = 1 << 20
    alone.release()
    assert line._transport.taken == 400 * FRAMES
    assert not alone.queued
