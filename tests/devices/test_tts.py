"""The Things Stack: one uplink, whatever else its envelope carries."""

import json
from typing import Any

import pytest

from devices.reading import DecodeError, Reading
from devices.tts import TheThingsStack

NOW = 1_790_000_000.0
TOPIC = "v3/app@ttn/devices/topic-id/up"
AT = "2026-03-28T08:26:02.028458338Z"
TIME = pytest.approx(1774686362.028458, abs=1e-3)


def decode(uplink: Any, topic: str = TOPIC) -> list[Reading]:
    body = {"end_device_ids": {"device_id": "dev1"}, "received_at": AT, "uplink_message": uplink}
    return TheThingsStack().decode(topic, json.dumps(body).encode(), False, NOW)


def test_the_device_is_the_bodys_and_gateways_do_not_multiply() -> None:
    uplink = {"decoded_payload": {"BatV": 3.6}, "rx_metadata": [{"rssi": -29}, {"rssi": -105}]}
    assert decode(uplink) == [Reading("dev1", "BatV", "voltage", 3.6, "V", TIME)]


def test_the_normalized_payload_lends_its_units_and_adds_nothing() -> None:
    uplink = {
        "decoded_payload": {"pressure": 1013.2, "light": 9},
        "normalized_payload": [{"air": {"pressure": 1013.2}}],
    }
    assert [(r.channel, r.quantity, r.unit) for r in decode(uplink)] == [
        ("pressure", "pressure", "hPa"),
        ("light", "light", None),
    ]


def test_the_normalized_payload_alone_is_decoded() -> None:
    uplink = {"normalized_payload": [{"air": {"temperature": 13.3}, "battery": 3.1, "soil": {"moisture": 20}}]}
    assert [(r.channel, r.quantity, r.value, r.unit) for r in decode(uplink)] == [
        ("battery", "voltage", 3.1, "V"),
        ("air", "temperature", 13.3, "°C"),
        ("soil", "moisture", 20, "%"),
    ]


def test_the_battery_status_has_its_own_time() -> None:
    status = {"value": 88.5, "received_at": "2026-03-27T16:33:18Z"}
    (reading,) = decode({"decoded_payload": {}, "last_battery_percentage": status})
    assert (reading.quantity, reading.value, reading.time) == ("battery", 88.5, 1774629198.0)


@pytest.mark.parametrize("suffix", ["join", "down/ack", "down/queued", "service/data", "location/solved"])
def test_other_messages_have_no_readings(suffix: str) -> None:
    topic = f"v3/app@ttn/devices/d/{suffix}"
    assert TheThingsStack().recognises(topic, b"")
    assert decode({"decoded_payload": {"t": 1}}, topic) == []


@pytest.mark.parametrize("uplink", [None, [], {}, {"decoded_payload": None}, {"decoded_payload": [1]}])
def test_an_uplink_without_decoded_values_is_valid(uplink: Any) -> None:
    assert decode(uplink) == []


def test_what_is_no_json_is_an_error() -> None:
    with pytest.raises(DecodeError):
        TheThingsStack().decode(TOPIC, b'{"a":1 "b":2}', False, NOW)
