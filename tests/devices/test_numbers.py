import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import numbers
from devices.reading import DecodeError

NOW = 1_795_450_000.0


@pytest.mark.parametrize(
    ("text", "value"),
    [("21.5", 21.5), (" 21.5\r\n", 21.5), ("+21.5", 21.5), ("-0.0", 0.0), ("2.15E+1", 21.5), (".5", 0.5), ("5.", 5.0),
     ("0", 0), ("-7", -7), ("1e5", 100_000.0), ("18446744073709551615", 2**64 - 1)],
)  # fmt: skip
def test_plain_numbers_are_read(text: str, value: float) -> None:
    assert numbers.number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "nan", "NaN", "inf", "-Infinity", "1_000", "٢١", "²", "0x1A", "1e400", "9" * 5000, "1,5", "1 000",
     "21.5 °C",
     "007", "123E45", "4530303330303033373238353233300000", "4.8.14", "--5", "1e", "e5", ".", "+", "True", "1\x00"],
)  # fmt: skip
def test_what_python_would_take_or_cut_short_is_no_number(text: str) -> None:
    assert numbers.number(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back_as_it_was_written(value: float) -> None:
    assert numbers.number(repr(value)) in (value, None if abs(value) > 1e15 else value)


def test_a_comma_is_a_decimal_sign_only_where_it_cannot_group_thousands() -> None:
    assert numbers.local_number("23,2") == 23.2
    assert numbers.local_number("1013,25") == 1013.25
    assert numbers.local_number("1,234") is None
    assert numbers.local_number("1,234.5") is None


@pytest.mark.parametrize(
    ("text", "measured"),
    [("20.6 ℃", (20.6, "°C")), ("21.5°C", (21.5, "°C")), ("1013.25hPa", (1013.25, "hPa")),
     ("12.3 km/h", (12.3, "km/h")),
     ("45.5%RH", (45.5, "%")), ("21.5\u00a0°C", (21.5, "°C")), ("23,5 °C", (23.5, "°C")), ("50 μg/m3", (50, "µg/m³")),
     ("4.8.14", None), ("192.168.0.74", None), ("86520 bananas", None), ("0003092.68'", None), ("2026-01-01", None)],
)  # fmt: skip
def test_a_number_may_carry_a_known_unit_and_nothing_else(text: str, measured: tuple[float, str] | None) -> None:
    assert numbers.measured(text) == measured


def test_booleans_are_no_numbers() -> None:
    assert not numbers.is_number(True)
    assert numbers.is_number(1)
    assert not numbers.is_number(float("nan"))
    assert not numbers.is_number(float("inf"))
    assert not numbers.is_number(10**400)
    assert not numbers.is_number("1")


@pytest.mark.parametrize(
    ("value", "truth"),
    [("ON", True), ("off", False), ("closed", False), ("Open", True), ("1", True), ("0", False), (1, True),
     (0.0, False),
     (True, True), ("maybe", None), (2, None), ("", None), (None, None), ([], None)],
)  # fmt: skip
def test_truths_are_read_in_all_their_words(value: object, truth: bool | None) -> None:
    assert numbers.truth(value) is truth


@pytest.mark.parametrize(
    ("payload", "online"),
    [(b"Online", True), (b"offline", False), (b"true", True), (b"0", False), (b'{"state":"online"}', True),
     (b"lost", False),
     (b'{"state": "offline"}', False), (b'"online"', True), (b"", None), (b"maybe", None), (b"{", None),
     (b"x" * 999, None)],
)  # fmt: skip
def test_availability_is_read_in_all_its_spellings(payload: bytes, online: bool | None) -> None:
    assert numbers.availability(payload) is online


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
def test_epochs_are_told_apart_by_magnitude(scale: int) -> None:
    assert numbers.timestamp(1_767_225_600 * scale, NOW) == 1_767_225_600
    assert numbers.timestamp(str(1_767_225_600 * scale), NOW) == 1_767_225_600


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00Z", "2026-01-01 01:00:00+01:00", "2025-12-31T16:00:00-0800", "2026-01-01T00:00:00.000000000Z"],
)
def test_iso_times_with_a_zone_are_absolute(text: str) -> None:
    assert numbers.timestamp(text, NOW) == 1_767_225_600


@pytest.mark.parametrize(
    "value",
    ["2026-01-01T00:00:00", "2026-01-01", "03/22/2025 10:06:00", "N/A", "", "2106-02-07T06:28:15Z",
     "1970-01-01T00:00:12Z",
     "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:00", "9" * 60, 0, 12, -1, 99_999_999_999_999_999, 2**70, True,
     None,
     float("nan"), float("inf"), 1e300, []],
)  # fmt: skip
def test_times_without_a_zone_or_sense_are_none(value: object) -> None:
    assert numbers.timestamp(value, NOW) is None


def test_a_clock_a_day_ahead_is_believed_and_further_ahead_not() -> None:
    assert numbers.timestamp(NOW + 3600 * 12, NOW) is not None
    assert numbers.timestamp(max(NOW, 1_798_761_600) + 86_400 * 3, NOW) is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[1,]", b"{'a':1}", b'{"a":1e999}', b'{"a":-1e999}', b'{"a":01}', b'"\xff"', b"[1][2]",
     b'{"a":1}\x00',
     b"[" * 33 + b"]" * 33, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"[" * 100_000, b'"' + b"a" * 300_000 + b'"',
     b"1" * 5000],
)  # fmt: skip
def test_what_is_not_json_or_too_much_of_it_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        numbers.load_json(payload)


def test_json_may_begin_with_a_byte_order_mark_and_be_32_levels_deep() -> None:
    assert numbers.load_json(b'\xef\xbb\xbf{"a":1}') == {"a": 1}
    assert numbers.depth(numbers.load_json(b"[" * 32 + b"]" * 32)) == 32
    assert numbers.load_json(b"[" + b"[],{}," * 500 + b"1]") is not None


def test_an_object_is_demanded_where_an_object_belongs() -> None:
    assert numbers.load_object(b"{}") == {}
    with pytest.raises(DecodeError, match="object was expected"):
        numbers.load_object(b"[1]")


@pytest.mark.parametrize("word", [b"nan", b"NaN", b"-nan", b"Infinity", b"-inf"])
def test_a_bare_nan_is_named_as_such_and_can_be_taken_out(word: bytes) -> None:
    payload = b'{"name":"nan, inf","t":' + word + b' ,"h":[' + word + b',50],"u":"NaN\\"nan"}'
    with pytest.raises(numbers.NotFinite):
        numbers.load_json(payload)
    assert numbers.load_json(numbers.without_nonfinite(payload)) == {
        "name": "nan, inf", "t": None, "h": [None, 50], "u": 'NaN"nan',
    }  # fmt: skip


def test_a_broken_document_that_says_nan_in_a_text_is_just_broken() -> None:
    with pytest.raises(DecodeError) as caught:
        numbers.load_json(b'{"name":"nan"')
    assert not isinstance(caught.value, numbers.NotFinite)
