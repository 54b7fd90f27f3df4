"""ChirpStack v4 and v3: uplinks, device status, location."""

import json
from typing import Any

import pytest

from devices.chirpstack import ChirpStack
from devices.reading import DecodeError, Reading

NOW = 1_790_000_000.0
BASE = "application/17c82e96-be03-4f38-aef3-f83d48582d97/device/0101010101010101"
EUI = "a84041f621857cd2"


def decode(event: str, base: str = BASE, **body: Any) -> list[Reading]:
    document = {"time": "2026-01-01T00:00:00Z", "deviceInfo": {"devEui": EUI}} | body
    return ChirpStack().decode(f"{base}/event/{event}", json.dumps(document).encode(), False, NOW)


def test_an_uplink_is_the_bodys_devices() -> None:
    assert decode("up", object={"distance_cm": 100.0, "state": "FREE"}) == [
        Reading(EUI, "distance_cm", "distance", 100.0, "cm", 1_767_225_600.0)
    ]


def test_version_3_has_no_device_info_and_may_quote_its_object() -> None:
    topic = "application/2/device/0101010101010101/event/up"
    body = {"devEUI": "AQEBAQEBAQE=", "objectJSON": '{"temperature":{"1":21.4}}'}
    (reading,) = ChirpStack().decode(topic, json.dumps(body).encode(), False, NOW)
    assert (reading.device, reading.channel, reading.value) == ("0101010101010101", "temperature.1", 21.4)


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ({"batteryLevel": 88.3}, 88.3),
        ({"batteryLevel": 0.0, "batteryLevelUnavailable": False}, 0.0),
        ({"batteryLevel": 0.0, "batteryLevelUnavailable": True}, None),
        ({"batteryLevel": 0.0, "externalPowerSource": True}, None),
        ({}, None),
    ],
)
def test_a_battery_level_counts_where_there_is_one(status: dict[str, Any], level: float | None) -> None:
    found = {reading.quantity: reading.value for reading in decode("status", margin=7, **status)}
    assert found.get("battery") == level
    assert found["margin"] == 7


def test_a_location_is_the_devices() -> None:
    readings = decode("location", location={"latitude": 48.5, "longitude": 10.6, "altitude": 456, "source": "GEO"})
    assert [(r.quantity, r.value, r.unit) for r in readings] == [
        ("latitude", 48.5, "°"),
        ("longitude", 10.6, "°"),
        ("altitude", 456, "m"),
    ]


@pytest.mark.parametrize("event", ["join", "ack", "txack", "log", "integration"])
def test_other_events_have_no_readings(event: str) -> None:
    assert decode(event, object={"temperature": 1}, margin=3) == []


@pytest.mark.parametrize("topic", [f"{BASE}/command/down", "eu868/gateway/0016c001f153a14c/state/conn"])
def test_commands_and_the_gateway_bridge_are_ours_and_silent(topic: str) -> None:
    assert ChirpStack().recognises(topic, b"\x0a")
    assert ChirpStack().decode(topic, b"\x0a\x10", True, NOW) == []


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(DecodeError):
        ChirpStack().decode(f"{BASE}/event/up", b"{", False, NOW)
