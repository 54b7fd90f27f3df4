"""Frigate: counts of objects, and nothing of the rest of its topics."""

import pytest

from devices.frigate import Frigate
from devices.reading import DecodeError, DeviceState, Reading

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("topic", "payload", "reading"),
    [
        ("frigate/front_door/person", b"2", Reading("frigate/front_door", None, "person", 2, None, None)),
        ("frigate/driveway/all", b"0", Reading("frigate/driveway", None, "all", 0, None, None)),
        ("frigate/yard/car/active", b"1", Reading("frigate/yard", None, "car_active", 1, None, None)),
        ("frigate/yard/motion", b"ON", Reading("frigate/yard", None, "motion", True, None, None)),
    ],
)
def test_counts_and_motion(topic: str, payload: bytes, reading: Reading) -> None:
    assert Frigate().decode(topic, payload, True, NOW) == [reading]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("frigate/front_door/person/snapshot", b"\xff\xd8\xff\xe0"),
        ("frigate/front_door/detect/state", b"ON"),
        ("frigate/events", b'{"before":{"score":0.7}}'),
        ("frigate/stats", b'{"service":{"uptime":86311}}'),
        ("frigate/available", b"online"),
        ("frigate/yard/status/detect", b"online"),
    ],
)
def test_events_settings_and_pictures_are_no_readings(topic: str, payload: bytes) -> None:
    assert Frigate().decode(topic, payload, True, NOW) == []


@pytest.mark.parametrize("payload", [b"-1", b"1.5", b"1e9999", b"\xff\xd8\xff", "٣".encode()])
def test_a_count_is_a_whole_number(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Frigate().decode("frigate/yard/person", payload, True, NOW)


def test_availability() -> None:
    assert Frigate().claims("frigate/available")
    assert Frigate().observe("frigate/available", b"offline", True, NOW) == [DeviceState("frigate", False)]


def test_recognised_by_its_prefix_and_silent_when_cleared() -> None:
    decoder = Frigate()
    assert decoder.recognises("frigate/yard/person", b"1")
    assert decoder.decode("frigate/yard/person", b"", True, NOW) == []
    assert decoder.observe("frigate/available", b"", True, NOW) == []
    with pytest.raises(DecodeError):
        decoder.observe("frigate/available", b"soon", True, NOW)
    with pytest.raises(DecodeError):
        decoder.decode("frigate/yard/motion", b"maybe", True, NOW)
