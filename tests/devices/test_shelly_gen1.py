import pytest
from support.readings import NOW, Short, decode

from devices.reading import DecodeError, DeviceState
from devices.shelly_gen1 import ShellyGen1


@pytest.mark.parametrize(
    ("rest", "payload", "reading"),
    [
        ("relay/0", "on", ("relay/0", "switch", True, None)),
        ("relay/1", "overpower", ("relay/1", "overpower", True, None)),
        ("relay/0/power", "12.5", ("relay/0", "power", 12.5, "W")),
        ("relay/0/energy", "13124", ("relay/0", "energy", 13124, "Wmin")),
        ("roller/0/pos", "40", ("roller/0", "position", 40, "%")),
        ("emeter/1/pf", "-0.59", ("emeter/1", "power_factor", -0.59, None)),
        ("emeter/0/energy", "354.5", ("emeter/0", "energy_period", 354.5, "Wmin")),
        ("emeter/0/total", "64541.0", ("emeter/0", "energy", 64541.0, "Wh")),
        ("emeter/0/total_returned", "0.0", ("emeter/0", "energy_returned", 0.0, "Wh")),
        ("input/0", "1", ("input/0", "input", True, None)),
        ("temperature", "75.98", (None, "temperature", 75.98, "°C")),
        ("temperature_f", "168.7", (None, "temperature", 168.7, "°F")),
        ("overtemperature", "0", (None, "overtemperature", False, None)),
        ("ext_temperature/0", "-1", ("ext_temperature/0", "temperature", -1, "°C")),
        ("ext_humidity/1", "48.5", ("ext_humidity/1", "humidity", 48.5, "%")),
        ("sensor/lux", "17", (None, "illuminance", 17, "lx")),
        ("sensor/flood", "true", (None, "water_leak", True, None)),
        ("sensor/state", "open", (None, "opening", True, None)),
        ("sensor/vibration", "1", (None, "vibration", True, None)),
        ("sensor/tilt", "90", (None, "tilt", 90, "°")),
    ],
)
def test_each_topic_is_one_reading(rest: str, payload: str, reading: Short) -> None:
    assert decode(ShellyGen1(), f"shellies/shelly-1/{rest}", payload) == [reading]


@pytest.mark.parametrize(
    ("rest", "payload"),
    [("sensor/temperature", "999"), ("sensor/humidity", "999"), ("sensor/concentration", "-1"), ("sensor/lux", "-1"),
     ("sensor/act_reasons", '["button"]'), ("sensor/error", "0"), ("relay/0/command", "on"), ("online", "true"),
     ("input_event/0", '{"event":"S","event_cnt":2}'), ("announce", "{}"), ("info", "{}"), ("roller/0", "stop"),
     ("longpush/0", "1"), ("temperature_status", "Normal"), ("sensor/temperature", "null"), ("relay/0", "")],
)  # fmt: skip
def test_sentinels_events_and_commands_are_no_readings(rest: str, payload: str) -> None:
    assert decode(ShellyGen1(), f"shellies/shelly-1/{rest}", payload) == []


@pytest.mark.parametrize("payload", [b"warm", b"1_0", b"\xff", b"9" * 1000, b"{"])
def test_text_where_a_number_belongs_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        ShellyGen1().decode("shellies/shelly-1/sensor/temperature", payload, False, NOW)


def test_a_motion_sensor_sends_json_with_the_time_of_the_motion() -> None:
    body = {"motion": True, "timestamp": 1_622_300_251, "vibration": False, "lux": 2063, "bat": 97,
            "tmp": {"value": 21.5, "units": "C", "is_valid": True}}  # fmt: skip
    assert decode(ShellyGen1(), "shellies/m/status", body) == [
        (None, "motion", True, None),
        (None, "vibration", False, None),
        (None, "illuminance", 2063, "lx"),
        (None, "battery", 97, "%"),
        (None, "temperature", 21.5, "°C"),
    ]
    body["tmp"] = {"value": 999, "is_valid": True}
    readings = ShellyGen1().decode("shellies/m/status", str(body).replace("'", '"').replace("True", "true")
                                   .replace("False", "false").encode(), False, NOW)  # fmt: skip
    assert {reading.time for reading in readings} == {1_622_300_251}
    assert "temperature" not in {reading.quantity for reading in readings}


def test_online_is_availability() -> None:
    decoder = ShellyGen1()
    assert decoder.claims("shellies/shelly-1/online")
    assert not decoder.claims("shellies/shelly-1/relay/0")
    assert decoder.observe("shellies/shelly-1/online", b"false", True, NOW) == (DeviceState("shelly-1", False),)
    assert decoder.observe("shellies/shelly-1/online", b"maybe", True, NOW) == ()
