"""Sparkplug B: births, aliases, deaths, sequence numbers, and what the wire does to numbers."""

import math
import re
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import sparkplug, sparkplug_payload, sparkplug_schema
from devices.reading import DecodeError, DeviceState, Reading
from devices.sparkplug import Sparkplug
from devices.sparkplug_payload import sequence_number, shortest
from devices.sparkplug_schema import payload_class

NOW = 1_790_000_000.0
MS = int(NOW * 1000)
NODE, PUMP = "spBv1.0/Plant/{}/Edge", "spBv1.0/Plant/{}/Edge/Pump"

INT8, INT16, INT32, INT64, UINT8, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING = 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12


def message(*metrics: dict[str, Any], seq: int | None = 0, time: int = MS) -> bytes:
    payload = payload_class()(timestamp=time)
    if seq is not None:
        payload.seq = seq
    for fields in metrics:
        metric = payload.metrics.add()
        for key, value in fields.items():
            if key == "unit":
                metric.properties.keys.append("engUnit")
                metric.properties.values.add(type=STRING, string_value=value)
            elif key == "quality":
                metric.properties.keys.append("Quality")
                metric.properties.values.add(type=INT32, int_value=value)
            else:
                setattr(metric, key, value)
    return payload.SerializeToString()


def born(decoder: Sparkplug) -> None:
    """A node with one metric, and its pump with three, aliases 1 to 4."""
    node = message(
        {"name": "bdSeq", "datatype": INT64, "long_value": 5}, {"name": "Load", "alias": 1, "datatype": FLOAT}
    )
    pump = message(
        {"name": "Flow", "alias": 2, "datatype": DOUBLE, "unit": "m3/h", "double_value": 1.5},
        {"name": "Level", "alias": 3, "datatype": INT16, "unit": "mm", "int_value": 7},
        {"name": "On", "alias": 4, "datatype": BOOLEAN, "boolean_value": True},
        seq=1,
    )
    decoder.observe(NODE.format("NBIRTH"), node, False, NOW)
    decoder.observe(PUMP.format("DBIRTH"), pump, False, NOW)


def only(readings: list[Reading]) -> Reading:
    (reading,) = readings
    return reading


def one(datatype: int | None, **fields: Any) -> list[Reading]:
    metric = {"name": "x", **fields} | ({} if datatype is None else {"datatype": datatype})
    return Sparkplug().decode(NODE.format("NDATA"), message(metric), False, NOW)


def test_an_alias_gets_name_type_and_unit_of_its_birth() -> None:
    decoder = Sparkplug()
    born(decoder)
    data = message({"alias": 3, "int_value": 0xFFFFFFD5, "timestamp": MS - 5000}, seq=2)
    reading = only(decoder.decode(PUMP.format("DDATA"), data, False, NOW))
    assert reading == Reading("Plant/Edge/Pump", None, "Level", -43, "mm", NOW - 5)


def test_a_births_values_are_readings_and_its_control_metrics_are_not() -> None:
    birth = message(
        {"name": "bdSeq", "datatype": INT64, "long_value": 1},
        {"name": "Node Control/Rebirth", "datatype": BOOLEAN, "boolean_value": False},
        {"name": "Flow", "datatype": DOUBLE, "double_value": 1.5, "unit": "m³/h"},
    )
    reading = only(Sparkplug().decode(NODE.format("NBIRTH"), birth, False, NOW))
    assert (reading.quantity, reading.value, reading.unit, reading.time) == ("Flow", 1.5, "m³/h", NOW)


def test_an_alias_without_a_birth_is_no_guess() -> None:
    assert Sparkplug().decode(NODE.format("NDATA"), message({"alias": 1, "float_value": 1.0}), False, NOW) == []


def test_devices_that_number_their_aliases_alike_are_kept_apart() -> None:
    decoder = Sparkplug()
    for device in ("A", "B"):
        birth = message({"name": f"of {device}", "alias": 0, "datatype": INT32})
        decoder.observe(f"spBv1.0/G/DBIRTH/N/{device}", birth, False, NOW)
    data = message({"alias": 0, "int_value": 1})
    assert only(decoder.decode("spBv1.0/G/DDATA/N/A", data, False, NOW)).quantity == "of A"
    assert only(decoder.decode("spBv1.0/G/DDATA/N/B", data, False, NOW)).quantity == "of B"


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "value"),
    [
        (INT8, "int_value", 0xFFFFFF80, -128),
        (INT8, "int_value", 0x80, -128),  # not extended by the sender
        (INT8, "int_value", 0x180, None),  # fits no eight bits either way
        (INT32, "int_value", 0xFFFFFFFF, -1),
        (INT32, "long_value", 0xFFFFFFFFFFFFFFFF, -1),
        (INT64, "long_value", 0xFFFFFFFFFFFFFFFE, -2),
        (INT64, "long_value", 2**63 - 1, 2**63 - 1),
        (INT64, "int_value", 0xFFFFFFFF, None),  # -1 or 4294967295: nobody can know
        (UINT8, "int_value", 256, None),
        (UINT32, "long_value", 4294967295, 4294967295),
        (UINT64, "long_value", 2**64 - 1, 2**64 - 1),
        (BOOLEAN, "int_value", 1, True),
        (BOOLEAN, "int_value", 2, None),
        (BOOLEAN, "boolean_value", True, True),
        (None, "boolean_value", False, False),
        (INT16, "boolean_value", True, None),
        (DOUBLE, "double_value", math.inf, None),
        (DOUBLE, "double_value", math.nan, None),
        (FLOAT, "float_value", 28.9, 28.9),
        (STRING, "string_value", "28.9", None),
        (17, "bytes_value", b"\x01", None),
        (None, "int_value", 7, 7),
        (None, "int_value", 0xFFFFFFD5, None),  # without a datatype the sign is unknown
    ],
)
def test_a_value_is_read_by_its_datatype(datatype: int | None, field: str, raw: Any, value: Any) -> None:
    readings = one(datatype, **{field: raw})
    assert [reading.value for reading in readings] == ([] if value is None else [value])
    assert all(type(reading.value) is type(value) for reading in readings)


def test_what_is_on_or_off_has_no_unit() -> None:
    assert only(one(BOOLEAN, unit="mm", boolean_value=True)).unit is None
    assert only(one(INT16, unit="mm", int_value=7)).unit == "mm"


def test_null_and_bad_quality_are_no_readings() -> None:
    assert one(INT32, is_null=True) == []
    assert one(INT32, is_null=True, int_value=5) == []
    assert one(INT32, int_value=5, quality=0) == []
    assert only(one(INT32, int_value=5, quality=192)).value == 5


def test_members_of_a_template_instance_are_named_below_it() -> None:
    payload = payload_class()(timestamp=MS)
    motor = payload.metrics.add(name="Motor", datatype=19)
    motor.template_value.template_ref = "MotorType"
    motor.template_value.metrics.add(name="RPM", datatype=INT32, int_value=1480)
    definition = payload.metrics.add(name="MotorType", datatype=19)
    definition.template_value.is_definition = True
    definition.template_value.metrics.add(name="RPM", datatype=INT32, int_value=0)
    reading = only(Sparkplug().decode(NODE.format("NDATA"), payload.SerializeToString(), False, NOW))
    assert (reading.quantity, reading.value) == ("Motor/RPM", 1480)


def test_deeper_templates_than_four_levels_are_left_out() -> None:
    payload = payload_class()(timestamp=MS)
    metrics = payload.metrics
    for _ in range(10):
        metric = metrics.add(name="t", datatype=19)
        metric.template_value.is_definition = False
        metrics = metric.template_value.metrics
    metrics.add(name="x", datatype=INT32, int_value=1)
    assert Sparkplug().decode(NODE.format("NDATA"), payload.SerializeToString(), False, NOW) == []


def test_births_and_deaths_tell_who_is_there() -> None:
    decoder = Sparkplug()
    born(decoder)
    death = message(seq=2)
    assert decoder.observe(PUMP.format("DDEATH"), death, False, NOW) == [DeviceState("Plant/Edge/Pump", False)]
    # What the device said before is forgotten with it, the node's own metrics are not.
    assert decoder.decode(PUMP.format("DDATA"), message({"alias": 3, "int_value": 1}), False, NOW) == []
    assert decoder.decode(NODE.format("NDATA"), message({"alias": 1, "float_value": 1.0}), False, NOW)


def test_a_nodes_death_takes_its_devices_along() -> None:
    decoder = Sparkplug()
    born(decoder)
    will = message({"name": "bdSeq", "datatype": INT64, "long_value": 5}, seq=None)
    assert decoder.observe(NODE.format("NDEATH"), will, False, NOW) == [
        DeviceState("Plant/Edge", False),
        DeviceState("Plant/Edge/Pump", False),
    ]
    assert decoder.decode(PUMP.format("DDATA"), message({"alias": 3, "int_value": 1}), False, NOW) == []


def test_the_will_of_a_replaced_connection_is_ignored() -> None:
    decoder = Sparkplug()
    born(decoder)
    stale = message({"name": "bdSeq", "datatype": INT64, "long_value": 4}, seq=None)
    assert decoder.observe(NODE.format("NDEATH"), stale, False, NOW) == []
    assert decoder.decode(PUMP.format("DDATA"), message({"alias": 3, "int_value": 1}), False, NOW)


def test_a_new_birth_replaces_the_old_table() -> None:
    decoder = Sparkplug()
    born(decoder)
    again = message({"name": "Volts", "alias": 3, "datatype": FLOAT})
    states = decoder.observe(NODE.format("NBIRTH"), again, False, NOW)
    assert list(states) == [DeviceState("Plant/Edge/Pump", False), DeviceState("Plant/Edge", True)]
    assert decoder.decode(PUMP.format("DDATA"), message({"alias": 3, "int_value": 1}), False, NOW) == []


def test_a_host_applications_state_is_json() -> None:
    decoder = Sparkplug()
    topic = "spBv1.0/STATE/scada"
    assert decoder.observe(topic, b'{"online":true,"timestamp":1}', True, NOW) == [DeviceState("scada", True)]
    assert decoder.decode(topic, b'{"online":true,"timestamp":1}', True, NOW) == []
    with pytest.raises(DecodeError, match="online"):
        decoder.decode(topic, b"{}", True, NOW)


def test_gaps_in_sequence_numbers_are_counted_over_node_and_devices() -> None:
    decoder = Sparkplug()
    born(decoder)
    for seq, gaps in ((2, 0), (3, 0), (6, 2), (255, 250), (0, 250)):
        topic = NODE.format("NDATA") if seq % 2 else PUMP.format("DDATA")
        decoder.observe(topic, message({"alias": 1, "float_value": 1.0}, seq=seq), False, NOW)
        assert decoder.gaps == gaps


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/G/DDATA/N",
        "spBv1.0/G/NDATA/N/D",
        "spBv1.0/G/XDATA/N",
        "spBv1.0//NDATA/N",
        "spBv1.0/",
        "spBv1.0/G/NDATA/",
    ],
)
def test_topics_outside_the_namespace_are_errors(topic: str) -> None:
    with pytest.raises(DecodeError):
        Sparkplug().decode(topic, message(), False, NOW)


@pytest.mark.parametrize("payload", [b'{"metrics":[]}', b"\xff" * 20, message({"name": "x" * 30})[:-3]])
def test_what_is_no_payload_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Sparkplug().decode(NODE.format("NDATA"), payload, False, NOW)
    with pytest.raises(DecodeError):
        Sparkplug().observe(NODE.format("NBIRTH"), payload, False, NOW)


def test_a_name_that_is_no_utf8_is_an_error() -> None:
    """protobuf hands such a text out as bytes: found by flipping bits in real payloads."""
    payload = message({"name": "first"}, {"name": "Temperatur", "datatype": INT32, "int_value": 1}).replace(
        b"Temp", b"Te\xedp"
    )
    decoder = Sparkplug()
    for call in (decoder.decode, decoder.observe):
        with pytest.raises(DecodeError, match="UTF-8"):
            call(NODE.format("NBIRTH"), payload, False, NOW)
    assert entries(decoder) == decoder._entries == 0


def test_commands_and_the_old_namespace_have_no_readings() -> None:
    command = message({"name": "Out", "datatype": BOOLEAN, "boolean_value": True})
    assert Sparkplug().decode(NODE.format("NCMD"), command, False, NOW) == []
    assert Sparkplug().decode("spAv1.0/G/NDATA/N", command, False, NOW) == []


def entries(decoder: Sparkplug) -> int:
    return sum(len(node.names) + len(node.aliases) + len(node.devices) for node in decoder._nodes.values())


def test_state_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug, "MAX_NODES", 3)
    monkeypatch.setattr(sparkplug, "MAX_ENTRIES", 20)
    decoder = Sparkplug()
    for node in range(20):
        birth = message(*({"name": f"m{index}", "alias": index, "datatype": INT32} for index in range(4)))
        decoder.observe(f"spBv1.0/G/NBIRTH/N{node}", birth, False, NOW)
    assert list(decoder._nodes) == ["G/N18", "G/N19"]
    assert entries(decoder) == decoder._entries == 16
    # Many names, many aliases of one name, many devices: none of them grows beyond the bound.
    for device in range(50):
        birth = message(*({"name": "m", "alias": index} for index in range(device % 7)))
        decoder.observe(f"spBv1.0/G/DBIRTH/N19/D{device}", birth, False, NOW)
        decoder.observe(f"spBv1.0/G/DDEATH/N19/D{device - 3}", message(), False, NOW)
        assert entries(decoder) == decoder._entries <= 20


def test_a_message_of_too_many_metrics_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug_payload, "MAX_MEMBERS", 5)
    with pytest.raises(DecodeError, match="6 metrics"):
        Sparkplug().decode(NODE.format("NDATA"), message(*({"alias": 1},) * 6), False, NOW)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_is_the_same_single(value: float) -> None:
    assert struct.pack("<f", shortest(value)) == struct.pack("<f", value)


METRICS = st.one_of(
    st.tuples(st.just(INT8), st.integers(-(2**7), 2**7 - 1)),
    st.tuples(st.just(INT16), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just(INT32), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(INT64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(UINT32), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(UINT64), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(DOUBLE), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just(BOOLEAN), st.booleans()),
)


def put(datatype: int, value: Any) -> dict[str, Any]:
    if datatype == DOUBLE:
        return {"double_value": value}
    if datatype == BOOLEAN:
        return {"boolean_value": value}
    if datatype in (INT64, UINT64):
        return {"long_value": value & (2**64 - 1)}
    return {"int_value": value & (2**32 - 1)}


@given(st.lists(METRICS, min_size=1, max_size=8), st.integers(0, 255))
def test_what_was_born_and_sent_by_alias_comes_back(metrics: list[tuple[int, Any]], seq: int) -> None:
    decoder = Sparkplug()
    birth = message(*({"name": f"m{i}", "alias": i, "datatype": kind} for i, (kind, _) in enumerate(metrics)))
    decoder.observe(PUMP.format("DBIRTH"), birth, False, NOW)
    data = message(*({"alias": i, **put(kind, value)} for i, (kind, value) in enumerate(metrics)), seq=seq)
    readings = decoder.decode(PUMP.format("DDATA"), data, False, NOW)
    assert [reading.value for reading in readings] == [value for _, value in metrics]
    assert sequence_number(data) == seq


@given(st.binary(max_size=300))
def test_any_bytes_are_readings_or_an_error(payload: bytes) -> None:
    decoder = Sparkplug()
    born(decoder)
    sequence_number(payload)
    for topic in (NODE.format("NBIRTH"), PUMP.format("DBIRTH"), NODE.format("NDATA"), PUMP.format("DDATA")):
        for call in (decoder.observe, decoder.decode):
            try:
                found = call(topic, payload, False, NOW)
            except DecodeError:
                continue
            for reading in found:
                assert isinstance(reading, DeviceState) or math.isfinite(reading.value)


def test_the_proto_file_says_what_the_schema_builds() -> None:
    text = Path(sparkplug_schema.__file__).with_name("sparkplug.proto").read_text("utf-8")
    written: dict[str, tuple[tuple[int, str, str], ...]] = {}
    for found in re.finditer(r"^message (\w+) \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE):
        fields = []
        for label, kind, name, number in re.findall(
            r"^ +(optional |repeated |)(\w+) (\w+) = (\d+);", found[2], re.MULTILINE
        ):
            mark = {"optional ": "", "repeated ": "*", "": "|"}[label]
            fields.append((int(number), name, mark + kind))
        written[found[1]] = tuple(fields)
    assert written == sparkplug_schema.FIELDS


def test_without_protobuf_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf.message", None)
    with pytest.raises(DecodeError, match=r"install sensor-gateway\[sparkplug\]"):
        Sparkplug().decode(NODE.format("NDATA"), b"\x08\x01", False, NOW)


def test_an_empty_payload_is_a_cleared_topic() -> None:
    decoder = Sparkplug()
    for kind in ("NBIRTH", "NDATA", "NDEATH"):
        assert decoder.observe(NODE.format(kind), b"", True, NOW) == []
        assert decoder.decode(NODE.format(kind), b"", True, NOW) == []
    assert decoder.observe("spBv1.0/STATE/scada", b"", True, NOW) == []
