"""CBOR and MessagePack documents without a family."""

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.binary import Binary, load_msgpack
from devices.reading import DecodeError, Reading

NOW = 1_790_000_000.0
PACK = msgspec.msgpack.encode


def decode(topic: str, payload: bytes) -> list[Reading]:
    return Binary().decode(topic, payload, False, NOW)


def values(readings: list[Reading]) -> dict[str, Any]:
    return {reading.quantity: reading.value for reading in readings}


@pytest.mark.parametrize(("topic", "dump"), [("n/cbor", cbor2.dumps), ("n/msgpack", PACK)])
def test_a_map_is_named_by_its_keys(topic: str, dump: Any) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    readings = decode(topic, dump({"temperature": 21.5, "ok": True, "name": "x", "raw": b"\x01", "t0": moment}))
    assert values(readings) == {"temperature": 21.5, "ok": True}
    assert {reading.time for reading in readings} == {moment.timestamp()}


@pytest.mark.parametrize("dump", [cbor2.dumps, PACK])
def test_a_topic_that_says_nothing_needs_a_complete_document(dump: Any) -> None:
    payload = dump({"temperature": 21.5, "humidity": 48})
    assert Binary().recognises("plain/topic", payload)
    assert values(decode("plain/topic", payload)) == {"temperature": 21.5, "humidity": 48}
    assert not Binary().recognises("plain/topic", payload[:-1])
    with pytest.raises(DecodeError):
        decode("plain/topic", payload[:-1])


@pytest.mark.parametrize(
    "payload", [b"21.5", b"ON", b"", b"\x1f\x8b\x08", b"\xff\xd8\xff\xe0", "Küche".encode(), b"\x82"]
)
def test_texts_and_pictures_are_not_recognised(payload: bytes) -> None:
    assert not Binary().recognises("plain/topic", payload)


@pytest.mark.parametrize(
    ("topic", "recognised"),
    [("a/cbor", True), ("cbor/a", True), ("a/senml-cbor", True), ("a/MsgPack/b", True), ("a/decbored/b", False)],
)
def test_a_topic_names_a_format_as_a_word(topic: str, recognised: bool) -> None:
    assert Binary().recognises(topic, b"\x01") is recognised


def test_json_comes_first() -> None:
    assert values(decode("n/cbor", b'{"t":1}')) == {"t": 1}
    assert values(decode("n/raw", b'{"t":1}')) == {"t": 1}


def test_integer_keys_become_text() -> None:
    assert values(decode("n/msgpack", PACK({1: 21.5, 2: 48}))) == {"1": 21.5, "2": 48}
    assert values(decode("n/cbor", cbor2.dumps([{263: 3}]))) == {"263": 3}


@pytest.mark.parametrize(
    ("number", "value"),
    [(2**63, 2**63), (2**64, float(2**64)), (2**64 + 1, None), (-(2**63) - 1, None), (2**400, float(2**400))],
)
def test_numbers_beyond_64_bits_are_never_rounded(number: int, value: float | None) -> None:
    readings = decode("n/cbor", cbor2.dumps({"n": number}))
    assert [reading.value for reading in readings] == ([] if value is None else [value])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_none(number: float) -> None:
    assert decode("n/cbor", cbor2.dumps({"t": number})) == []
    assert decode("n/msgpack", PACK({"t": number})) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"\xdf\xff\xff\xff\xff\xa1t\x01",  # a map of 2^32 - 1 pairs
        b"\xc6\xff\xff\xff\xff",
        b"\xc1",  # never used
        b"\x91" * 500 + b"\x01",
        b"\x91" * 100_000,
        b"\xa2\xc3(",  # no UTF-8
        b"\x01\x02",
        b"\x81\x81\x01\x02\x03",  # a map as key
        b"\xc7\x0c\xff" + b"\xff" * 12,  # a timestamp out of range
        b"\x82\xa1t",
    ],
)
def test_broken_messagepack_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode("n/msgpack", payload)


def test_ten_megabytes_are_refused_at_once() -> None:
    started = time.perf_counter()
    for topic in ("n/msgpack", "n/cbor", "n/plain"):
        with pytest.raises(DecodeError):
            decode(topic, b"\x91" * 10_000_000)
    assert time.perf_counter() - started < 0.5


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
KEYS = st.text("bcdefgh", min_size=4, max_size=8)
FLAT = st.dictionaries(KEYS, NUMBERS, min_size=1, max_size=6)


@given(FLAT)
def test_flat_documents_come_back_from_both_formats(document: dict[str, Any]) -> None:
    for topic, dump in (("n/cbor", cbor2.dumps), ("n/msgpack", PACK)):
        assert values(decode(topic, dump(document))) == document
    assert load_msgpack(PACK(document)) == document


@given(st.dictionaries(KEYS, st.integers(0, 1000) | st.dictionaries(KEYS, st.integers(0, 9), max_size=3), min_size=1))
def test_binary_and_json_agree(document: dict[str, Any]) -> None:
    expected = decode("n/json", json.dumps(document).encode())
    assert [r._replace(device="") for r in decode("n/cbor", cbor2.dumps(document))] == [
        r._replace(device="") for r in expected
    ]


@given(st.binary(max_size=80), st.sampled_from(["a/cbor", "a/msgpack", "a/b"]))
def test_any_bytes_are_readings_or_an_error(payload: bytes, topic: str) -> None:
    Binary().recognises(topic, payload)
    try:
        readings = decode(topic, payload)
    except DecodeError:
        return
    assert all(math.isfinite(reading.value) for reading in readings if not isinstance(reading.value, str))


def test_self_described_cbor_is_recognised() -> None:
    payload = b"\xd9\xd9\xf7" + cbor2.dumps({"temperature": 21.5})
    assert Binary().recognises("plain/topic", payload)
    assert values(decode("plain/topic", payload)) == {"temperature": 21.5}


def test_a_large_payload_is_not_tried_on_topics_that_say_nothing() -> None:
    assert not Binary().recognises("plain/topic", PACK({f"key{index}": index for index in range(2000)}))


def test_keys_of_bytes_are_text_and_other_keys_are_left_out() -> None:
    assert values(decode("n/msgpack", b"\x83\xc4\x04temp\x01\xc3\x02\xc0\x03")) == {"temperature": 1}
