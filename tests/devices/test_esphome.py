import pytest
from support.readings import NOW, Short, decode

from devices.esphome import EspHome
from devices.reading import DecodeError, DeviceState, Reading


@pytest.mark.parametrize(
    ("topic", "payload", "reading"),
    [
        ("node/sensor/co2/state", "1043.000000", (None, "carbon_dioxide", 1043.0, None)),
        ("a/b/node/sensor/water_level/state", "5", (None, "water_level", 5, None)),
        ("node/binary_sensor/motion/state", "ON", (None, "motion", True, None)),
        ("node/switch/pump/state", "OFF", ("pump", "switch", False, None)),
        ("node/light/lamp/state", {"state": "ON", "brightness": 128}, ("lamp", "switch", True, None)),
    ],
)
def test_states_are_readings_named_by_their_object_id(topic: str, payload: object, reading: Short) -> None:
    assert decode(EspHome(), topic, payload) == [reading]


def test_the_device_is_the_whole_topic_prefix() -> None:
    (reading,) = EspHome().decode("a/b/node/sensor/x/state", b"5", False, NOW)
    assert reading.device == "a/b/node"


@pytest.mark.parametrize("payload", ["nan", "NaN", "None", "inf", "-inf", "Normal", ""])
def test_no_value_and_text_are_no_readings_and_no_errors(payload: str) -> None:
    assert decode(EspHome(), "node/sensor/co2/state", payload) == []


@pytest.mark.parametrize(
    "topic", ["node/number/offset/state", "node/select/mode/state", "node/switch/pump/command", "node/button/b/state"]
)
def test_settings_and_commands_are_no_readings(topic: str) -> None:
    assert decode(EspHome(), topic, "1") == []


@pytest.mark.parametrize(
    ("topic", "payload", "reading"),
    [
        ("home/ac/climate/living/current_temperature/state", "21.4", ("living", "temperature", 21.4, "°C")),
        ("ac/climate/living/current_humidity/state", "44", ("living", "humidity", 44, "%")),
        ("ac/cover/blind/position/state", "40", ("blind", "position", 40, "%")),
        ("ac/climate/living/current_temperature/state", "nan", None),
        ("ac/climate/living/target_temperature/state", "22", None),
        ("ac/climate/living/mode/state", "heat", None),
        ("ac/fan/f/speed_level/state", "3", None),
    ],
)
def test_what_climates_and_covers_measure_stands_a_level_below(
    topic: str, payload: str, reading: tuple[str, str, float, str] | None
) -> None:
    decoder = EspHome()
    assert decoder.recognises(topic, payload.encode())
    expected = [] if reading is None else [Reading(topic.rsplit("/", 4)[0], *reading, None)]
    assert decoder.decode(topic, payload.encode(), False, NOW) == expected


def test_an_object_may_be_named_like_a_level() -> None:
    assert decode(EspHome(), "ac/sensor/cover/position/state", "1") == []
    assert EspHome().decode("box/sensor/mode/state", b"1", False, NOW)[0].quantity == "mode"


def test_other_trees_that_end_alike_are_left_alone() -> None:
    decoder = EspHome()
    assert not decoder.recognises("homeassistant/sensor/bedroom/state", b"21.5")
    assert not decoder.recognises("node/sensor/bedroom/state", b'{"temperature":1}')
    assert not decoder.recognises("node/thing/bedroom/state", b"21.5")
    assert not decoder.recognises("sensor/bedroom/state", b"21.5")
    assert not decoder.recognises("node/debug", b"21.5")
    assert decoder.recognises("node/debug", b"\x1b[0;36m[D][sensor:094]: 67 dBm")
    assert decode(decoder, "node/debug", b"\x1b[0;36m[D] 67 dBm\x1b[0m") == []


@pytest.mark.parametrize("payload", [b"\xff", b"5" * 1000])
def test_bytes_that_are_no_text_are_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        EspHome().decode("node/sensor/co2/state", payload, False, NOW)


def test_the_birth_and_will_are_availability() -> None:
    decoder = EspHome()
    assert decoder.claims("a/node/status")
    assert decoder.observe("a/node/status", b"offline", True, NOW) == (DeviceState("a/node", False),)
    assert decoder.observe("a/node/status", b"on", True, NOW) == ()
