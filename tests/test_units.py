"""Times and sizes: read as people write them, refused with a reason, and written back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.units import (
    format_duration,
    format_percent,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("100 ms", 0.1),
        ("1.5h", 5400.0),
        ("7d", 604_800.0),
        ("1d 2h 3m 4s 5ms", 93_784.005),
        (" 0s ", 0.0),
    ],
)
def test_a_time_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a time"),
        ("soon", "is not a time"),
        ("20", 'has no unit: write "20s"'),
        ("20 parsecs", 'unknown unit "parsecs"'),
        ("20S", 'unknown unit "S" (known: d, h, m, s, ms)'),
        ("-5s", "is not a time"),
        ("+5s", "is not a time"),
        ("1e3s", "unknown unit"),
        ("30m1h", "the larger unit comes first"),
        ("1s1s", "each once"),
        ("٣s", "is not a time"),
        ("1_000s", "is not a time"),
        ("s", "is not a time"),
        ("9" * 400 + "s", "is not a time"),
        ("nan s", "is not a time"),
        ("1,5s", "is not a time"),
    ],
)
def test_what_is_no_time_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2 MiB", 2 * 1024**2),
        ("64KiB", 64 * 1024),
        ("512 B", 512),
        ("1.5 GiB", 1_610_612_736),
        ("10 MB", 10_000_000),
        ("1 kB", 1000),
        ("0 B", 0),
        ("1 TiB", 1024**4),
    ],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a size"),
        ("lots", "is not a size"),
        ("65536", 'has no unit: write "65536 B"'),
        ("2 mib", 'did you mean "MiB"?'),
        ("2 M", "known: B, kB"),
        ("-1 B", "is not a size"),
        ("1 MiB 2 KiB", "is not a size"),
        ("0.3 B", "not a whole number of bytes"),
        ("1e6 B", "is not a size"),
        ("9" * 5000 + " B", "is not a size"),
    ],
)
def test_what_is_no_size_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_size(text)


def test_a_percentage_is_a_fraction_of_one() -> None:
    assert parse_percent("70%") == 0.7
    assert parse_percent("12.5 %") == 0.125
    assert format_percent(0.7) == "70%"


@pytest.mark.parametrize("text", ["70", "-1%", "101%", "%", "0.7", "1e2%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"percentage|more than 100%"):
        parse_percent(text)


@given(st.integers(0, 10**12))
def test_a_time_written_out_is_read_back(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(0, 1023), st.sampled_from([1, 1024, 1024**2, 1024**3]))
def test_a_round_size_written_out_is_read_back(amount: int, unit: int) -> None:
    assert parse_size(format_size(amount * unit)) == amount * unit


@given(st.text())
def test_no_text_gets_anything_but_a_number_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_percent):
        try:
            number = parse(text)
        except ValueError:
            continue
        assert number >= 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "1m30s"), (3600, "1h"), (0.1, "100ms"), (604_800, "7d"), (1.25, "1s250ms")]
)
def test_times_in_messages(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_what_is_no_time_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        format_duration(seconds)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2 * 1024**2, "2 MiB"), (1234567, "1.18 MiB")]
)
def test_sizes_in_messages(size: int, text: str) -> None:
    assert format_size(size) == text
