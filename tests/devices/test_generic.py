import pytest
from support.readings import NOW, decode, encode

from devices.generic import Json, Scalar
from devices.reading import DecodeError, DeviceState, Reading


@pytest.mark.parametrize(
    ("topic", "payload", "reading"),
    [
        ("kitchen/temperature", "12.79", Reading("kitchen", None, "temperature", 12.79, None, None)),
        ("a/cpuTemp", " 48.3\n", Reading("a", None, "cpu_temp", 48.3, None, None)),
        ("a/weather/wind", "12.3 km/h", Reading("a/weather", None, "wind", 12.3, "km/h", None)),
        ("a/level%", "55.2", Reading("a", None, "level", 55.2, "%", None)),
        ("iaq/pm2.5", "12", Reading("iaq", None, "pm25", 12, None, None)),
        ("temperature", '"21.5"', Reading("", None, "temperature", 21.5, None, None)),
        ("home/garage/door", "open", Reading("home/garage", None, "door", True, None, None)),
        ("home/garage/door/state", "closed", Reading("home/garage", None, "door", False, None, None)),
        ("home//temperature", "21,5", Reading("home/", None, "temperature", 21.5, None, None)),
        ("/box/temperature", "21.5\0", Reading("/box", None, "temperature", 21.5, None, None)),
    ],
)
def test_a_plain_value_is_named_by_its_topic(topic: str, payload: str, reading: Reading) -> None:
    assert Scalar().decode(topic, payload.encode(), False, NOW) == [reading]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("a/temperature", b"unavailable"), ("a/temperature", b"nan"), ("a/temperature", b""), ("a/firmware", b"4.8.14"),
     ("a/ip_address", b"192.168.0.74"), ("a/id", b"XMX5LGBBFG"), ("$SYS/broker/uptime", b"86520 seconds"),
     ("$share/g/a/temperature", b"21.5"), ("a/pump/set", b"ON"), ("a/temperature/unit", b"C"),
     ("cam/snapshot", b"\xff\xd8\xff\xe0"),
     ("a/log", b"x" * 5000), ("a/LWT", b"Online"), ("a/anything", b"offline"), ("a/serial", b"007")],
)  # fmt: skip
def test_what_is_no_measurement_is_no_reading(topic: str, payload: bytes) -> None:
    assert Scalar().decode(topic, payload, False, NOW) == []


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"temperature": -127, "humidity": 40}, ["humidity"]),
        ({"temperature": -127.0}, []),
        ({"water_temperature": -127, "level": -127}, ["level"]),
        ({"temperature_F": -196.6, "temperature_C": -196.6}, ["temperature"]),
        ({"temperature": {"value": -127, "unit": "C"}}, []),
        ({"temperature": {"value": -127, "unit": "F"}}, ["temperature"]),
        ({"temperature": -126.9}, ["temperature"]),
    ],
)
def test_a_probe_that_does_not_answer_has_no_temperature(body: object, left: list[str]) -> None:
    """DEVICE_DISCONNECTED_C and _F of the library that nearly every home-made DS18B20 is read with."""
    assert [short[1] for short in decode(Json(), "a/probe", body)] == left


@pytest.mark.parametrize(("payload", "left"), [("-127", 0), ("-127.00 °C", 0), ("-196.6 °F", 0), ("-127 °F", 1)])
def test_a_plain_probe_that_does_not_answer_has_no_temperature(payload: str, left: int) -> None:
    assert len(Scalar().decode("a/temperature", payload.encode(), False, NOW)) == left


@pytest.mark.parametrize(
    "payload", ["1_000", "٢١", "0x1A", "1,234.5", "1e400", "9" * 5000, "\0", "21.5 bananas", "A003W372", "A" * 5000]
)
def test_text_where_the_topic_promises_a_number_is_an_error(payload: str) -> None:
    with pytest.raises(DecodeError):
        Scalar().decode("home/temperature", payload.encode(), False, NOW)


@pytest.mark.parametrize(
    "payload", [b"\xc3\x28", b"\xff\xfe2\x001\x00", b"\xed\xa0\x80", bytes(range(256)), b"\x1f\x8b\x08"]
)
def test_bytes_that_are_no_text_are_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Scalar().decode("home/temperature", payload, False, NOW)


def test_a_topic_of_slashes_names_nothing() -> None:
    with pytest.raises(DecodeError):
        Scalar().decode("/", b"21.5", False, NOW)


def test_the_unit_may_come_on_a_sibling_topic() -> None:
    decoder = Scalar()
    assert decoder.claims("inverter/bus_voltage/unit")
    decoder.observe("inverter/bus_voltage/unit", b"V", True, NOW)
    decoder.observe("inverter/mode/unit", b"a word", True, NOW)
    assert decode(decoder, "inverter/bus_voltage/value", "420") == [("bus_voltage", "voltage", 420, "V")]
    assert decode(decoder, "inverter/bus_voltage", "420") == [(None, "bus_voltage", 420, "V")]
    assert decode(decoder, "inverter/mode/value", "5") == [(None, "value", 5, None)]
    for number in range(6000):
        decoder.observe(f"x/{number}/unit", b"V", True, NOW)
    assert len(decoder._units) == 5000


def test_a_will_that_no_family_claims_is_availability_still() -> None:
    decoder = Scalar()
    assert decoder.claims("my/thing/LWT")
    assert decoder.observe("my/thing/LWT", b"connected", True, NOW) == (DeviceState("my/thing", True),)
    assert decoder.observe("my/thing/LWT", b"21.5", True, NOW) == ()


def test_a_document_is_walked_and_its_paths_are_channels() -> None:
    body = {"temperature": 21.5, "humidity": None, "computed": {"heat_index": 22.9, "deep": {"x": 1}},
            "list": [{"v": 1}, {"v": 2}],
            "ok": True, "name": "text", "id": 7, "seq": 9, "door": "open", "pressure": False}  # fmt: skip
    assert decode(Json(), "gw/dev", body) == [
        (None, "temperature", 21.5, None),
        ("computed", "heat_index", 22.9, None),
        ("computed.deep", "x", 1, None),
        ("list.0", "v", 1, None),
        ("list.1", "v", 2, None),
        (None, "ok", True, None),
        (None, "door", True, None),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"value": 41.5}, [(None, "temperature", 41.5, None)]),
        ({"value": 41.5, "unit": "F", "time": 1_767_225_600}, [(None, "temperature", 41.5, "°F")]),
        ({"value": None}, []),
        ({"value": "nan"}, []),
        ({"value": True}, []),
    ],
)
def test_a_lone_value_is_named_by_the_topic(body: object, expected: list[object]) -> None:
    assert decode(Json(), "plant/tank/temperature", body) == expected


def test_units_stand_in_keys_texts_and_beside_the_value() -> None:
    body = {"pressure_pa": 100_245, "humidity": "45.5%RH", "temperature": {"value": 70.7, "unit": "F"},
            "power": 5, "power_unit": "kW",
            "t": {"value": -3.5, "unit": "°C"}, "Temperature": "23,2"}  # fmt: skip
    assert decode(Json(), "a/b", body) == [
        (None, "pressure", 100_245, "Pa"),
        (None, "humidity", 45.5, "%"),
        (None, "temperature", 70.7, "°F"),
        (None, "power", 5, "kW"),
        ("t", "value", -3.5, "°C"),
        (None, "temperature", 23.2, None),
    ]


@pytest.mark.parametrize(
    ("stated", "time"),
    [(1_767_225_600, 1_767_225_600), (1_767_225_600_000, 1_767_225_600), ("2026-01-01T01:00:00+01:00", 1_767_225_600),
     ("2026-01-01T01:00:00", None), (0, None), ("2106-02-07T06:28:15Z", None), ("", None), (True, None)],
)  # fmt: skip
def test_the_time_is_believed_if_it_is_absolute_and_plausible(stated: object, time: float | None) -> None:
    (reading,) = Json().decode("a/b", encode({"timestamp": stated, "temperature": 1}), False, NOW)
    assert reading.time == time


def test_events_domoticz_and_commands_are_no_measurements() -> None:
    assert decode(Json(), "cam/events", {"score": 0.9}) == []
    assert decode(Json(), "domoticz/in", {"idx": 4, "nvalue": 0, "svalue": "19.9"}) == []
    assert decode(Json(), "lamp/set", {"brightness": 5}) == []


def test_a_document_yields_a_bounded_number_of_readings() -> None:
    assert len(decode(Json(), "a/b", {f"k{number}": number for number in range(5000)})) == 256
    assert len(decode(Json(), "a/b", {"l": [{"a": 1}] * 5000})) == 64
    nested: dict[str, object] = {"x": 1}
    for _ in range(20):
        nested = {"n": nested, "x": 1}
    assert len(decode(Json(), "a/b", nested)) == 9
