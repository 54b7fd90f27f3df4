import pytest
from support.readings import NOW, decode, encode

from devices.homie import Homie
from devices.reading import DecodeError, DeviceState


def heard(*attributes: tuple[str, str]) -> Homie:
    decoder = Homie()
    for topic, text in attributes:
        assert decoder.claims(topic)
        decoder.observe(topic, text.encode(), True, NOW)
    return decoder


def car(datatype: str, unit: str = "") -> Homie:
    place = "garage/car/engine/temperature"
    return heard(("garage/car/$homie", "4.0.0"), (f"{place}/$datatype", datatype), (f"{place}/$unit", unit))


def test_a_device_is_found_under_any_base_by_its_attributes() -> None:
    decoder = Homie()
    assert not decoder.recognises("garage/car/engine/temperature", b"21.5")
    decoder.observe("garage/car/$homie", b"4.0.0", True, NOW)
    assert decoder.recognises("garage/car/engine/temperature", b"21.5")
    assert decoder.generation == 1
    (reading,) = decoder.decode("garage/car/engine/temperature", b"21.5", True, NOW)
    assert (reading.device, reading.channel) == ("car", "engine")
    decoder.observe("garage/car/$homie", b"", True, NOW)
    assert not decoder.recognises("garage/car/engine/temperature", b"21.5")


def test_units_come_from_attributes() -> None:
    assert decode(car("float", "°F"), "garage/car/engine/temperature", "21.5") == [
        ("engine", "temperature", 21.5, "°F")
    ]
    assert decode(car("float"), "garage/car/engine/temperature", "-2e1") == [("engine", "temperature", -20.0, None)]


@pytest.mark.parametrize(
    ("datatype", "text"),
    [("float", "NaN"), ("float", "21,5"), ("float", " 21.5"), ("float", "1_0"), ("float", ""), ("integer", "1.5"),
     ("integer", "99999999999999999999"), ("boolean", "TRUE"), ("boolean", "1"), ("float", "٢١")],
)  # fmt: skip
def test_what_the_data_type_does_not_allow_is_an_error(datatype: str, text: str) -> None:
    if not text:
        assert decode(car(datatype), "garage/car/engine/temperature", text) == []
        return
    with pytest.raises(DecodeError):
        car(datatype).decode("garage/car/engine/temperature", text.encode(), True, NOW)


@pytest.mark.parametrize("datatype", ["enum", "string", "color", "datetime", "duration", "json"])
def test_text_of_any_kind_is_no_reading(datatype: str) -> None:
    assert decode(car(datatype), "garage/car/engine/temperature", "5") == []


def test_version_5_is_described_in_one_document() -> None:
    decoder = Homie()
    description = {"homie": "5.0", "name": "Car", "nodes": {"engine": {"properties": {
        "rpm": {"datatype": "integer", "unit": "rpm"}, "open": {"datatype": "boolean"}}}, "bad": 7}}  # fmt: skip
    decoder.observe("homie/5/car/$description", encode(description), True, NOW)
    assert decode(decoder, "homie/5/car/engine/rpm", "900") == [("engine", "rpm", 900, "rpm")]
    assert decode(decoder, "homie/5/car/engine/open", "true") == [("engine", "opening", True, None)]
    assert decoder.names == {"car": "Car"}
    with pytest.raises(DecodeError):
        decoder.observe("homie/5/car/$description", b"{", True, NOW)


def test_version_2_states_the_unit_as_a_sibling() -> None:
    decoder = heard(("homie/a/$homie", "2.0.0"), ("homie/a/temp/unit", "c"))
    assert decode(decoder, "homie/a/temp/degrees", "21.5") == [("temp", "degrees", 21.5, "°C")]
    assert decode(decoder, "homie/a/temp/unit", "c") == []
    assert decode(decoder, "homie/a/pm25/concentration", "2") == [("pm25", "pm25", 2, None)]


def test_statistics_are_diagnostics_of_the_device() -> None:
    assert decode(Homie(), "garage/car/$stats/signal", "64") == [("$stats", "signal_quality", 64, "%")]
    assert decode(Homie(), "garage/car/$stats/interval", "60") == []


@pytest.mark.parametrize(
    "topic",
    ["homie/a/$state", "homie/a/n/$properties", "homie/a/n/p/$format", "homie/5/a/n/p/$target", "homie/5/a/$log/warn",
     "homie/5/a/$alert/battery", "homie/a/n/p/set", "homie/$broadcast/alert", "homie/5/$broadcast/x/y", "homie/a/n"],
)  # fmt: skip
def test_attributes_commands_and_broadcasts_are_no_readings(topic: str) -> None:
    assert Homie().recognises(topic, b"8")
    assert decode(Homie(), topic, "8") == []


@pytest.mark.parametrize(
    ("topic", "text", "online"),
    [("homie/a/$state", "ready", True), ("b/a/$state", "lost", False), ("homie/5/a/$state", "disconnected", False),
     ("b/a/$online", "false", False), ("homie/a/$state", "sleeping", True)],
)  # fmt: skip
def test_states_of_all_versions_are_availability(topic: str, text: str, online: bool) -> None:
    assert Homie().observe(topic, text.encode(), True, NOW) == (DeviceState("a", online),)


def test_a_state_that_is_none_or_cleared_says_nothing() -> None:
    assert Homie().observe("homie/a/$state", b"", True, NOW) == ()
    assert Homie().observe("homie/a/$state", b"dancing", True, NOW) == ()


def test_what_is_learned_is_bounded() -> None:
    decoder = Homie()
    for number in range(1100):
        decoder.observe(f"b/{number}/$homie", b"4.0", True, NOW)
    assert len(decoder._devices) == 1000
