"""SenML (RFC 8428): resolution of base fields, versions, labels, units, time, in JSON and CBOR."""

import json
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reading import DecodeError, Reading
from devices.senml import Senml

NOW = 1_790_000_000.0
CBOR_LABELS = {"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6}
CBOR_LABELS |= {"n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8}


def decode(pack: Any, topic: str = "x/senml") -> list[Reading]:
    payload = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return Senml().decode(topic, payload, False, NOW)


def test_base_fields_hold_until_replaced() -> None:
    readings = decode(
        [
            {"bn": "a/", "bt": 1.7e9, "bu": "Cel", "n": "temperature", "v": 1},
            {"n": "temperature", "t": 10, "v": 2},
            {"bn": "b/", "n": "humidity", "u": "%RH", "v": 3},
            {"n": "temperature", "v": 4},
        ]
    )
    assert [(r.device, r.channel, r.quantity, r.value, r.unit, r.time) for r in readings] == [
        ("a", "a/temperature", "temperature", 1, "°C", 1.7e9),
        ("a", "a/temperature", "temperature", 2, "°C", 1.7e9 + 10),
        ("b", "b/humidity", "humidity", 3, "%", 1.7e9),
        ("b", "b/temperature", "temperature", 4, "°C", 1.7e9),
    ]


def test_base_value_is_added_as_decimal() -> None:
    readings = decode([{"bn": "a:", "bv": 0.1, "u": "Cel", "n": "t", "v": 0.2}, {"n": "i", "v": 3}])
    assert [reading.value for reading in readings] == [0.3, 3.1]


def test_times_below_2_to_the_28_are_relative_to_now() -> None:
    (reading,) = decode([{"n": "t1", "u": "Cel", "v": 21.0, "t": -30}])
    assert reading.time == NOW - 30
    (reading,) = decode([{"n": "t1", "u": "Cel", "v": 21.0}])
    assert reading.time is None


@pytest.mark.parametrize(
    ("name", "unit", "device", "quantity"),
    [
        ("urn:dev:ow:10e2073a01080063", "Cel", "urn:dev:ow:10e2073a01080063", "temperature"),
        ("urn:dev:ow:10e2073a01080063:voltage", "V", "urn:dev:ow:10e2073a01080063", "voltage"),
        ("node7/humidity", "%RH", "node7", "humidity"),
        ("node7", None, "node7", "value"),
        ("n", "%EL", "n", "battery"),
    ],
)
def test_a_whole_name_is_split_where_it_ends_in_a_quantity(
    name: str, unit: str | None, device: str, quantity: str
) -> None:
    (reading,) = decode([{"n": name, "v": 1} | ({"u": unit} if unit else {})])
    assert (reading.device, reading.channel, reading.quantity) == (device, name, quantity)


@pytest.mark.parametrize(("unit", "expected"), [("C", "C"), ("F", "F"), ("Cel", "°C"), ("/", None), ("lx", "lx")])
def test_units_are_the_registrys_not_everyones(unit: str, expected: str | None) -> None:
    """In SenML C is coulomb and F is farad."""
    (reading,) = decode([{"bn": "a:", "n": "x", "u": unit, "v": 1}])
    assert reading.unit == expected


def test_texts_data_and_base_records_have_no_readings() -> None:
    assert decode([{"bn": "a:"}, {"n": "x", "vs": "text"}, {"n": "y", "vd": "AQ"}, {"n": "z"}]) == []


def test_a_sum_alone_is_a_reading_with_a_second_in_its_unit() -> None:
    (reading,) = decode([{"bn": "a:", "bs": 10, "n": "power", "u": "W", "s": 5.5}])
    assert (reading.quantity, reading.value, reading.unit) == ("power_sum", 15.5, "W·s")


@pytest.mark.parametrize(
    "pack",
    [
        [{"n": "x", "v": 1, "vb": True}],
        [{"n": "x", "v": "1"}],
        [{"n": "x", "v": True}],
        [{"n": "x", "vb": 1}],
        [{"v": 1}],
        [{"n": "x", "v": 1, "u_": "Cel"}],
        [{"bver": 11, "n": "x", "v": 1}],
        [{"bver": 42, "n": "x", "v": 1}],
        [{"bver": True, "n": "x", "v": 1}],
        [1],
        {"n": "x", "v": 1},
        b'[{"n":"x","v":1}',
        b'[{"n":"x","v":1e999}]',
        b"\x9f",
    ],
)
def test_what_must_not_be_processed_is_an_error(pack: Any) -> None:
    with pytest.raises(DecodeError):
        decode(pack)


@pytest.mark.parametrize("version", [5, 10, 26])
def test_known_versions_pass(version: int) -> None:
    assert decode([{"bver": version, "n": "x", "v": 1}])


def test_not_a_number_poisons_what_it_is_added_to() -> None:
    assert decode(cbor2.dumps([{-2: "a:", -5: math.nan, 0: "x", 2: 1.0}, {0: "y", 2: 5}])) == []
    (reading,) = decode(cbor2.dumps([{-2: "a:", -3: math.inf, 0: "x", 2: 1.0}]))
    assert reading.time is None


def test_an_empty_pack_is_valid() -> None:
    assert decode([]) == []


def test_recognised_by_topic_or_by_its_labels() -> None:
    decoder = Senml()
    assert decoder.recognises("a/senml", b"anything")
    assert decoder.recognises("a/b", b'[{"bn":"x","v":1}]')
    assert not decoder.recognises("a/b", b'[{"n":"x"}]')
    assert not decoder.recognises("a/b", b'[{"n":"x","value":1}]')
    assert not decoder.recognises("a/b", b'{"n":"x","v":1}')


NAMES = st.text("abcdefgh0123456789", min_size=1, max_size=8)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"n": NAMES},
        optional={"u": st.sampled_from(["Cel", "W", "lx", "V"]), "t": st.integers(0, 1000)},
    ).flatmap(
        lambda record: st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(lambda v: record | {"v": v}),
            st.integers(-(2**53), 2**53).map(lambda v: record | {"v": v}),
            st.booleans().map(lambda v: record | {"vb": v}),
        )
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda record: (record["n"], record.get("t", 0)),
)


@given(RECORDS)
def test_json_and_cbor_say_the_same(records: list[dict[str, Any]]) -> None:
    pack = [{"bn": "dev:", "bt": 1_700_000_000}, *records]
    readings = decode(pack)
    packed = cbor2.dumps([{CBOR_LABELS[key]: value for key, value in record.items()} for record in pack])
    assert decode(packed) == readings
    assert [reading.value for reading in readings] == [r["v"] if "v" in r else r["vb"] for r in records]
    assert [reading.time for reading in readings] == [1_700_000_000 + r.get("t", 0) for r in records]
    assert [reading.channel for reading in readings] == ["dev:" + r["n"] for r in records]


JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.binary(max_size=4),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(range(-6, 9)), children, max_size=4)
    ),
    max_leaves=10,
)


@given(st.lists(JSONISH, max_size=4))
def test_any_document_is_readings_or_an_error(pack: list[Any]) -> None:
    try:
        readings = decode(cbor2.dumps(pack))
    except DecodeError:
        return
    assert all(math.isfinite(reading.value) for reading in readings if not isinstance(reading.value, str))
