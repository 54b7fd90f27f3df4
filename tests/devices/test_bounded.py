from devices.bounded import Bounded


def test_the_oldest_entry_makes_room_for_a_new_key() -> None:
    held: Bounded[str, int] = Bounded(2)
    held["a"] = 1
    held["b"] = 2
    held["c"] = 3
    assert held == {"b": 2, "c": 3}


def test_a_known_key_takes_nobodys_place() -> None:
    held: Bounded[str, int] = Bounded(2)
    held["a"] = 1
    held["b"] = 2
    held["a"] = 3
    assert held == {"a": 3, "b": 2}
