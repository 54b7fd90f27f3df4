"""A missed time reduced: the newest of each part, what is left out booked, presses and alarms all kept."""

from gateway.edge import thinning
from gateway.edge.thinning import Thinner
from gateway.hub.message import Message


def message(offset, topic="t"):
    return Message(topic, b"1", float(offset), "u", False, 0, offset)


def test_the_newest_of_each_part_is_kept_and_the_rest_booked():
    thinner = Thinner(4, until=100.0, told=lambda message: False)
    for offset in range(1, 101):
        thinner.add(message(offset))
    kept = [message.offset for message in thinner.result()]
    assert len(kept) == 4
    assert kept[-1] == 100
    assert (thinner.ledger.count, thinner.ledger.topics) == (96, {"t": 96})


def test_presses_and_alarms_are_all_kept_as_far_as_there_is_room(monkeypatch):
    monkeypatch.setattr(thinning, "HELD", 30)
    thinner = Thinner(2, until=100.0, told=lambda message: False, whole=lambda topic: topic == "alarm")
    for offset in range(1, 41):
        thinner.add(message(offset, "alarm" if offset % 2 else "t"))
    kept = [m.offset for m in thinner.result()]
    assert kept == sorted(kept)
    assert [offset for offset in kept if offset % 2] == list(range(1, 40, 2))
    assert thinner.ledger.topics == {"t": 19}
    for offset in range(41, 101):
        thinner.add(message(offset, "alarm"))
    assert len(thinner.result()) <= 30 + 30
    assert thinner.ledger.count + len(thinner.result()) == 100


def test_too_many_topics_get_fewer_points_each(monkeypatch):
    monkeypatch.setattr(thinning, "HELD", 100)
    thinner = Thinner(8, until=800.0, told=lambda message: False)
    for offset in range(1, 801):
        thinner.add(message(offset, f"t/{offset % 50}"))
    kept = thinner.result()
    assert len(kept) <= 101
    assert {m.topic for m in kept} == {f"t/{number}" for number in range(50)}
    assert thinner.ledger.count + len(kept) == 800
