"""CBOR that may come from anyone: structure, tags, lengths and depth are checked before the library builds anything."""

import math
import sys
import time
from decimal import Decimal

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cbor import fraction, load_cbor
from devices.reading import DecodeError


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ("f94d65", 21.578125),  # half precision
        ("fa41ac0000", 21.5),
        ("fb4035800000000000", 21.5),
        ("c482211908 6d".replace(" ", ""), Decimal("21.57")),
        ("c249010000000000000000", 2**64),
        ("c349010000000000000000", -(2**64) - 1),
        ("9f0102ff", [1, 2]),
        ("bf616101ff", {"a": 1}),
        ("7f61616162ff", "ab"),
        ("d9d9f7820102", [1, 2]),  # self-described
    ],
)
def test_what_measurements_use_is_read(payload: str, value: object) -> None:
    loaded = load_cbor(bytes.fromhex(payload))
    assert loaded == value


@pytest.mark.parametrize(
    "payload",
    [
        "5b7fffffffffffffff00",  # a byte string of 2^63 bytes
        "9b7fffffffffffffff",  # an array of as many items
        "bbffffffffffffffff",
        "81" * 33 + "01",
        "81" * 500 + "01",
        "c1" * 50 + "00",
        "d81c81d81d00",  # shared reference to itself
        "d82363282a29",  # a regular expression
        "d8246161",  # a MIME message
        "c25902" + "00" + "ff" * 512,  # a bignum of 512 bytes
        "c261ff",  # a bignum that is text
        "c482" + "1b7fffffffffffffff" + "01",  # 1e9223372036854775807
        "c5821b7fffffffffffffff01",
        "a1810102" + "00",  # bytes behind the end
        "a1",
        "ff",
        "1c",
        "5f6161ff",  # text within a byte string
        "c0617a",
        "c1fb7ff8000000000000",
        "a162c32801",  # a key that is no UTF-8
        "",
    ],
)
def test_everything_else_is_refused(payload: str) -> None:
    with pytest.raises(DecodeError):
        load_cbor(bytes.fromhex(payload))


def test_size_is_refused_before_anything_is_read() -> None:
    started = time.perf_counter()
    with pytest.raises(DecodeError, match="bytes"):
        load_cbor(b"\x80" * 10_000_000)
    with pytest.raises(DecodeError, match="levels"):
        load_cbor(b"\x81" * 10_000)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("text", "value"),
    [("21.57", 21.57), ("1e400", None), ("1e999999", None), ("0e999999", 0), ("NaN", None), ("-Infinity", None)],
)
def test_a_fraction_is_a_finite_number_or_none(text: str, value: float | None) -> None:
    assert fraction(Decimal(text)) == value


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.binary(max_size=10),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=15,
)


@given(VALUES)
def test_documents_come_back(value: object) -> None:
    assert load_cbor(cbor2.dumps(value)) == value


@given(VALUES, st.data())
def test_every_cut_is_noticed(value: object, data: st.DataObject) -> None:
    payload = cbor2.dumps([value])
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(DecodeError):
        load_cbor(payload[:cut])


@given(st.binary(max_size=64))
def test_any_bytes_are_a_document_or_an_error(payload: bytes) -> None:
    try:
        loaded = load_cbor(payload)
    except DecodeError:
        return
    assert not isinstance(loaded, float) or math.isnan(loaded) or loaded == loaded


def test_without_cbor2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(DecodeError, match=r"install sensor-gateway\[cbor\]"):
        load_cbor(b"\x01")
