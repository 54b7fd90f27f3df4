"""Ruuvi data formats, by the test vectors of their own specification."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reading import DecodeError, DeviceState, Reading
from devices.ruuvi import Ruuvi, parse

NOW = 1_790_000_000.0
TOPIC = "ruuvi/C8:25:2D:8E:9C:2C/CB:B8:33:4C:88:4F"


def fields(frame: str) -> dict[str, float]:
    return {what if axis is None else axis: value for axis, what, value, _ in parse(bytes.fromhex(frame))}


def body(data: str, **more: Any) -> bytes:
    return json.dumps({"gw_mac": "C8:25:2D:8E:9C:2C", "ts": "1700000000", "data": data} | more).encode()


def decode(payload: bytes) -> list[Reading]:
    return Ruuvi().decode(TOPIC, payload, False, NOW)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            "03291A1ECE1EFC18F94202CA0B53",
            {"temperature": 26.3, "humidity": 20.5, "pressure": 102766, "x": -1.0, "y": -1.726, "z": 0.714}
            | {"voltage": 2.899},
        ),
        (
            "03FF7F63FFFF7FFF7FFF7FFFFFFF",
            {"temperature": 127.99, "humidity": 127.5, "pressure": 115535, "x": 32.767, "y": 32.767, "z": 32.767}
            | {"voltage": 65.535},
        ),
        (
            "0300FF6300008001800180010000",
            {"temperature": -127.99, "humidity": 0.0, "pressure": 50000, "x": -32.767, "y": -32.767, "z": -32.767}
            | {"voltage": 0.0},
        ),
        (
            "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F",
            {"temperature": 24.3, "humidity": 53.49, "pressure": 100044, "x": 0.004, "y": -0.004, "z": 1.036}
            | {"voltage": 2.977, "tx_power": 4, "movement_counter": 66, "measurement_sequence": 205},
        ),
        (
            "058001000000008001800180010000000000CBB8334C884F",
            {"temperature": -163.835, "humidity": 0.0, "pressure": 50000, "x": -32.767, "y": -32.767, "z": -32.767}
            | {"voltage": 1.6, "tx_power": -40, "movement_counter": 0, "measurement_sequence": 0},
        ),
        ("058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF", {}),
        (
            "06170C5668C79E007000C90501D9FFCD004C884F",
            {"temperature": 29.5, "humidity": 55.3, "pressure": 101102, "pm25": 11.2, "carbon_dioxide": 201}
            | {"voc_index": 10, "nox_index": 2, "illuminance": 13026.67, "measurement_sequence": 205},
        ),
        (
            "067FFF9C40FFFE27109C40FAFAFEFFFF074C8F4F",
            {"temperature": 163.835, "humidity": 100.0, "pressure": 115534, "pm25": 1000.0, "carbon_dioxide": 40000}
            | {"voc_index": 500, "nox_index": 500, "illuminance": 65535.0, "measurement_sequence": 255},
        ),
        ("068000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", {"measurement_sequence": 255}),
        (
            "E1170C5668C79E0065007004BD11CA00C90A0213E0ACFFFFFFDECDEE10FFFFFFFFFFCBB8334C884F",
            {"temperature": 29.5, "humidity": 55.3, "pressure": 101102, "pm1": 10.1, "pm25": 11.2, "pm4": 121.3}
            | {"pm10": 455.4, "carbon_dioxide": 201, "voc_index": 20, "nox_index": 4, "illuminance": 13027.0}
            | {"measurement_sequence": 14601710},
        ),
        ("E1" + "8000" + "FF" * 37, {}),
        ("08AABB", {}),  # encrypted: not for us
        ("", {}),
    ],
)
def test_the_specifications_vectors(frame: str, expected: dict[str, float]) -> None:
    assert fields(frame) == expected


def test_the_frame_is_found_among_other_advertising_structures() -> None:
    frame = "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F"
    readings = decode(body(f"0201060509527575761BFF9904{frame}", rssi=-60))
    assert readings[0] == Reading("CB:B8:33:4C:88:4F", None, "temperature", 24.3, "°C", 1_700_000_000.0)
    assert readings[-1].quantity == "signal_strength"


def test_a_foreign_beacon_says_only_how_strong_it_is() -> None:
    data = "0201061AFF4C000215FDA50693A4E24FB1AFCFC6EB0764782500010002C5"
    assert [reading.quantity for reading in decode(body(data, rssi=-80))] == ["signal_strength"]


def test_what_the_gateway_decoded_is_used_where_the_frame_is_missing() -> None:
    payload = json.dumps({"gw_mac": "x", "temperature": 26.5, "accelX": 0.048, "pressure": 100467, "id": "y"}).encode()
    assert [(r.channel, r.quantity, r.value, r.unit) for r in decode(payload)] == [
        (None, "temperature", 26.5, "°C"),
        (None, "pressure", 100467, "Pa"),
        ("x", "acceleration", 0.048, "[g]"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "0201061BFF99040512FC",  # shorter than its length byte
        "02010620FF99040512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F",  # the same with a whole frame in it
        "0201060CFF99040512FC5394C37C00",  # complete, but no whole frame of format 5
        "1BFF9904zz",
        "1BFF990",
        "1BFF\u0663\u0663",  # digits, but not ASCII
        "AA" * 1000,
        17,
    ],
)
def test_a_broken_advertisement_is_an_error(data: Any) -> None:
    with pytest.raises(DecodeError):
        decode(body(data))


def test_format_3_has_at_most_99_hundredths() -> None:
    with pytest.raises(DecodeError, match="hundredths"):
        parse(bytes.fromhex("03291A64CE1EFC18F94202CA0B53"))


def test_gateway_status_is_availability() -> None:
    decoder, topic = Ruuvi(), "ruuvi/C8:25:2D:8E:9C:2C/gw_status"
    assert decoder.recognises(topic, b"")
    assert decoder.claims(topic)
    gateway = "C8:25:2D:8E:9C:2C"
    assert decoder.observe(topic, b'{"state":"offline"}', True, NOW) == [DeviceState(gateway, False)]
    assert decoder.decode(topic, b'{"state":"offline"}', True, NOW) == []
    with pytest.raises(DecodeError):
        decoder.observe(topic, b'{"state":"asleep"}', True, NOW)


def test_recognised_by_mac_and_body() -> None:
    decoder = Ruuvi()
    assert decoder.recognises("any/prefix/F4:1F:0C:28:CB:D6", b'{"gw_mac":"C8:25:2D:8E:9C:2C","data":""}')
    assert not decoder.recognises("any/prefix/F4:1F:0C:28:CB:D6", b'{"id":"x"}')
    assert not decoder.recognises("any/prefix/tag", b'{"gw_mac":"x"}')


@given(st.binary(max_size=45))
def test_any_frame_is_finite_or_an_error(frame: bytes) -> None:
    try:
        found = parse(frame)
    except DecodeError:
        return
    assert all(math.isfinite(value) for _, _, value, _ in found)
