from devices.reading import Reading
from devices.table import MAX_DEVICES, MAX_VALUES, DeviceTable


def test_the_last_value_of_every_quantity_is_shown_with_its_age() -> None:
    table = DeviceTable()
    table.take([Reading("boiler", None, "temperature", 20.5, "°C", None)], "b/t", 100.0, "scalar")
    table.take([Reading("boiler", None, "temperature", 21.5, "°C", 90.0, "out-of-range")], "b/t", 110.0, "scalar")
    table.take([Reading("boiler", "pump", "switch", True, None, None)], "b/p", 105.0, "scalar")
    table.name("boiler", "The boiler", None)
    table.name("boiler", None, "Cellar")
    table.state("boiler", True, 95.0)
    assert list(table.snapshot(120.0)) == [
        {
            "device": "boiler", "name": "The boiler", "area": "Cellar", "family": "scalar", "state": "online",
     "since": 95.0,
            "channels": {
                "": {"temperature": {"value": 21.5, "unit": "°C", "time": 90.0, "age": 10.0, "topic": "b/t",
                                     "flag": "out-of-range"}},
                "pump": {"switch": {"value": True, "unit": None, "time": 105.0, "age": 15.0, "topic": "b/p"}},
            },
        }
    ]  # fmt: skip


def test_a_state_counts_as_a_change_once() -> None:
    table = DeviceTable()
    assert table.state("a", False, 1.0)
    assert not table.state("a", False, 2.0)
    assert table.state("a", True, 3.0)
    assert next(table.snapshot(4.0))["since"] == 3.0


def test_the_table_is_bounded_in_devices_and_values() -> None:
    table = DeviceTable()
    for number in range(MAX_DEVICES + 10):
        table.take([Reading(f"d{number}", None, "x", 1, None, None)], "t", 1.0, "json")
    table.take(
        [Reading("d9999", None, f"q{number}", 1, None, None) for number in range(MAX_VALUES + 10)], "t", 1.0, "json"
    )
    assert len(table) == MAX_DEVICES
    shown = list(table.snapshot(1.0))[-1]
    assert shown["device"] == "d9999"
    assert len(shown["channels"][""]) == MAX_VALUES  # type: ignore[index]


def test_a_device_can_be_forgotten() -> None:
    table = DeviceTable()
    table.state("a", True, 1.0)
    table.forget("a")
    table.forget("b")
    assert not list(table.snapshot(1.0))
