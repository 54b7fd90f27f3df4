"""What is in flight to one client."""

from gateway.edge.dialects.window import Window


def window(count=3, limit=100):
    made = Window(lambda frame: (frame.upper(), tuple(frame.split())), count=count)
    made.limit = limit
    return made


def test_a_message_is_in_flight_under_each_of_its_keys():
    mine = window()
    assert mine.send(b"a b") == b"A B"
    assert mine.room == (1, 98)
    assert mine.acknowledge(b"a")
    assert not mine.acknowledge(b"a")
    assert mine.room == (2, 99)


def test_what_has_no_key_is_never_in_flight():
    mine = window()
    assert mine.send(b"") == b""
    assert mine.room == (3, 100)


def test_the_same_key_twice_counts_once():
    mine = window()
    mine.send(b"aa")
    mine.send(b"aa")
    assert mine.size == 2
    assert mine.acknowledge(b"aa")
    assert mine.size == 0
