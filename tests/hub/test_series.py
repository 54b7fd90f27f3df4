import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.message import Message
from gateway.hub.series import Buckets, Row, number_of, path_source, rows_by_minute, rows_of


def message(payload, topic="t", timestamp=100.0):
    return Message(topic, payload, timestamp, "u")


@pytest.mark.parametrize(
    ("path", "payload", "numbers"),
    [
        (None, b"21.5", [21.5]),
        ("", b"-3", [-3.0]),
        (None, b"21.5 C", []),
        (None, b"true", []),
        (None, b"NaN", []),
        (None, b'"5"', []),
        ("a", b'{"a": 1}', [1.0]),
        ("a.b", b'{"a": {"b": 2.5}}', [2.5]),
        ("a.b", b'{"a": 1}', []),
        ("a.b", b"[1]", []),
        ("list[1].x", b'{"list": [{"x": 1}, {"x": 2}]}', [2.0]),
        ('"BME 280".t', b'{"BME 280": {"t": 3}}', [3.0]),
        ("max(v)", b'{"v": [1, 7, 3]}', [7.0]),
        ("max(v)", b'{"v": "x"}', []),
        ("a", b"[" * 5000 + b"]" * 5000, []),
        ("a", b"\xff", []),
        ("a", b"", []),
    ],
)
def test_numbers_are_found_by_their_path(path, payload, numbers):
    assert list(path_source("t", path).numbers(message(payload))) == numbers


def test_what_is_no_path_is_refused():
    with pytest.raises(ValueError, match="not a JMESPath"):
        path_source("t", "a..b[")


@pytest.mark.parametrize("value", [True, None, "1", [1], float("inf"), 10**400])
def test_only_finite_numbers_are_numbers(value):
    assert number_of(value) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(-50, 50)), min_size=1), st.integers(1, 20))
def test_thinning_keeps_the_extremes_and_the_last_of_every_part(values, points):
    values.sort(key=lambda value: value[0])
    forward, backward = Buckets(0.0, 100.0, points), Buckets(0.0, 100.0, points)
    for at, value in values:
        forward.put(Row(at, value, value, value, 1))
    for at, value in reversed(values):
        backward.put(Row(at, value, value, value, 1), earlier=True)
    rows = forward.rows()
    assert rows == backward.rows()
    assert len(rows) <= points
    assert min(row[1] for row in rows) == min(value for _, value in values)
    assert max(row[2] for row in rows) == max(value for _, value in values)
    assert rows[-1][3] == values[-1][1]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_values_outside_of_the_span_do_not_count():
    buckets = Buckets(10.0, 20.0, 5)
    for at in (9.9, 20.1):
        buckets.put(Row(at, 1.0, 1.0, 1.0, 1))
    assert buckets.rows() == []


def test_messages_are_merged_by_the_minute():
    source = path_source("t", None)
    messages = [message(str(n).encode(), timestamp=60.0 + n * 20) for n in range(6)]
    messages.append(message(b"99", topic="other", timestamp=70.0))
    messages.append(message(b"98", timestamp=None))
    rows = rows_by_minute(source, messages)
    assert rows == {1: Row(100.0, 0.0, 2.0, 2.0, 3), 2: Row(160.0, 3.0, 5.0, 5.0, 3)}
    assert [row.last for row in rows_of(source, messages, 80.0, 120.0)] == [1.0, 2.0, 3.0]
