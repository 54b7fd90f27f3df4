from dataclasses import dataclass

import pytest
from support.readings import NOW, encode, short

from devices.mapping import OUT_OF_RANGE, Filter, Mapping
from devices.reading import DecodeError, Reading


@dataclass(frozen=True)
class Value:
    quantity: str
    path: str = ""
    unit: str = ""
    device: str = ""
    channel: str = ""
    scale: float = 1.0
    offset: float = 0.0
    deadband: float = 0.0
    min_interval: float = 0.0
    range: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rule:
    filter: str
    readings: tuple[Value, ...]
    format: str = "json"
    family: str = "auto"
    name: str = ""
    area: str = ""
    keep: str = "latest"


def mapping(*values: Value, filter: str = "plant/+line/boiler/+id/raw", format: str = "json") -> Mapping:
    return Mapping(Rule(filter, values, format))


TOPIC = "plant/A/boiler/7/raw"


def read(decoder: Mapping, payload: object, now: float = NOW) -> list[Reading]:
    return decoder.decode(TOPIC, encode(payload), False, now)


@pytest.mark.parametrize(
    ("filter", "topic", "names"),
    [("a/+x/c", "a/b/c", {"x": "b"}), ("+site/#", "s", {"site": "s"}), ("+site/#", "s/t/u", {"site": "s"}),
     ("#", "a", {}),
     ("a/+/c", "a//c", {}), ("a/+x/c", "a/b", None), ("a/b", "a/b/c", None), ("a/b/#", "a/b", {}),
     ("a/B", "a/b", None),
     ("+x/b", "$SYS/b", None), ("#", "$SYS/b", None), ("$SYS/#", "$SYS/b", {})],
)  # fmt: skip
def test_filters_match_as_mqtt_says_and_name_their_levels(
    filter: str, topic: str, names: dict[str, str] | None
) -> None:
    assert Filter(filter).match(topic) == names


def test_paths_units_and_calibration() -> None:
    decoder = mapping(Value("temperature", "t.celsius", "C", scale=0.1, offset=-1), Value("count", "length(items)"))
    assert short(read(decoder, {"t": {"celsius": 225}, "items": [1, 2]})) == [
        (None, "temperature", 21.5, "°C"),
        (None, "count", 2, None),
    ]
    assert short(read(decoder, {"t": {"celsius": 225}})) == [(None, "temperature", 21.5, "°C")]
    assert read(mapping(Value("temperature", "t")), {"other": 1}) == []


def test_named_levels_make_device_and_channel() -> None:
    named = Value("power", "p", device="boiler +id", channel="line +line")
    assert read(mapping(named), {"p": 5})[0][:2] == ("boiler 7", "line A")
    assert read(mapping(Value("power", "p", channel="+id")), {"p": 5})[0][:2] == ("A", "7")
    assert read(mapping(Value("power", "p")), {"p": 5})[0][:2] == ("A/7", None)
    assert read(mapping(Value("power", "p"), filter="plant/#"), {"p": 5})[0][:2] == (TOPIC, None)


def test_a_value_out_of_range_is_flagged_and_delivered() -> None:
    decoder = mapping(Value("temperature", "t", range=(-20.0, 60.0)))
    assert [(r.value, r.flag) for r in read(decoder, {"t": 999})] == [(999, OUT_OF_RANGE)]
    assert [(r.value, r.flag) for r in read(decoder, {"t": 60})] == [(60, None)]


def test_small_changes_within_the_deadband_are_left_out() -> None:
    decoder = mapping(Value("temperature", "t", deadband=0.5))
    values = [value for t in (20.0, 20.4, 19.6, 20.5, 20.1, 21.5) for value in read(decoder, {"t": t})]
    assert [reading.value for reading in values] == [20.0, 20.5, 21.5]


def test_readings_come_no_faster_than_the_interval() -> None:
    decoder = mapping(Value("temperature", "t", min_interval=10.0))
    values = [value for second in (0, 5, 10, 19, 20) for value in read(decoder, {"t": second}, NOW + second)]
    assert [reading.value for reading in values] == [0, 10, 20]
    # A clock that was set back must not silence a sensor.
    assert read(decoder, {"t": 1}, NOW - 3600) != []


def test_the_same_message_asked_for_twice_gives_the_same_answer() -> None:
    decoder = mapping(Value("temperature", "t", min_interval=10.0))
    payload = encode({"t": 5})
    assert decoder.decode(TOPIC, payload, False, NOW) == decoder.decode(TOPIC, payload, False, NOW) != []


@pytest.mark.parametrize(
    ("format", "payload"),
    [("json", b'{"t":21.5}'), ("cbor", b"\xa1\x61t\xfb\x40\x35\x80\0\0\0\0\0"),
     ("msgpack", b"\x81\xa1t\xcb\x40\x35\x80\0\0\0\0\0")],
)  # fmt: skip
def test_documents_may_be_json_cbor_or_messagepack(format: str, payload: bytes) -> None:
    decoder = mapping(Value("temperature", "t"), format=format)
    assert short(read(decoder, payload)) == [(None, "temperature", 21.5, None)]
    for broken in (payload[:-1], b"\xff" * 50, b"[" * 50_000, b"\x91" * 50_000):
        with pytest.raises(DecodeError):
            read(decoder, broken)


def test_plain_text_needs_no_path_and_may_carry_a_unit() -> None:
    decoder = mapping(Value("temperature", unit="°F"), format="text")
    assert short(read(decoder, "70.5 °F")) == [(None, "temperature", 70.5, "°F")]
    assert read(decoder, "ON") == []
    assert short(read(mapping(Value("switch"), format="text"), "ON")) == [(None, "switch", True, None)]
    assert read(decoder, "n/a") == []
    for broken in (b"\xff", b"5" * 1000):
        with pytest.raises(DecodeError):
            read(decoder, broken)


@pytest.mark.parametrize("value", [True, "1_000", "nan", None, [1], {"a": 1}, 10**400, "٢١"])
def test_no_number_is_made_of_what_is_none(value: object) -> None:
    readings = read(mapping(Value("temperature", "t", scale=2.0)), {"t": value}) if value != 10**400 else []
    assert readings == []


def test_a_scale_that_overflows_yields_nothing() -> None:
    assert read(mapping(Value("temperature", "t", scale=1e308)), {"t": 1e308}) == []


def test_a_path_that_is_no_jmespath_is_refused_at_once_and_one_that_fails_is_an_error() -> None:
    with pytest.raises(ValueError, match="not jmespath"):
        mapping(Value("x", "a.["))
    with pytest.raises(DecodeError, match="path"):
        read(mapping(Value("x", "abs(t)")), {"t": "text"})
