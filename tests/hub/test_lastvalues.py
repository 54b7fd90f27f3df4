"""The last values by themselves; what the hub makes of them is in test_hub.py."""

from gateway.hub.lastvalues import OVERHEAD, LastValues
from gateway.hub.message import Message


def heard(values, *topics, payload=b"1", offset=1):
    """As the hub does it."""
    for place, topic in enumerate(topics):
        entry = values.get(topic) or values.meet(topic, offset + place)
        values.memory += len(payload) - entry.size
        entry.last, entry.size = Message(topic, payload, 0.0, "u", offset=offset + place), len(payload)
    values.keep_bounds()


def test_they_are_told_in_offset_order_without_what_was_cleared():
    values = LastValues(10, 1 << 20)
    heard(values, "a", "b", "c")
    heard(values, "a", offset=7)
    heard(values, "b", payload=b"", offset=8)
    assert [(m.topic, m.offset) for m in values.last(lambda topic: True)] == [("c", 3), ("a", 7)]
    assert values.last_of("a").offset == 7
    assert values.last_of("nobody") is None


def test_those_who_name_topics_look_through_theirs_and_the_others_share_one_list():
    values = LastValues(10, 1 << 20)
    heard(values, "a", "b", "c")
    assert values.holders(["a", "a", "x", "c"]) == [values["a"], values["c"]]
    everything = values.holders(["#"])
    assert everything is values.holders(["+", "a"])
    heard(values, "d")
    assert len(everything) == 3, "whoever is looking through it is not disturbed"
    assert len(values.holders(["#"])) == 4


def test_what_goes_gives_back_its_bytes():
    values = LastValues(2, 1 << 20)
    heard(values, "a", "b", "c", payload=b"x" * 100)
    assert list(values) == ["b", "c"]
    assert (values.memory, values.forgotten) == (2 * (OVERHEAD + 100), 1)
    values.limit = OVERHEAD + 100
    values.keep_bounds()
    assert list(values) == ["c"]


def test_the_next_message_finds_its_way_anew():
    values = LastValues(10, 1 << 20)
    heard(values, "a", "b")
    for topic in values.values():
        topic.routes = []
    values.unroute([values["a"]])
    assert (values["a"].routes, values["b"].routes) == (None, [])
    values.unroute()
    assert values["b"].routes is None
