"""OwnTracks: locations and steps are readings, everything else is not."""

import json
from typing import Any

import pytest

from devices.owntracks import OwnTracks
from devices.reading import DecodeError, DeviceState

NOW = 1_790_000_000.0
TOPIC = "owntracks/jane/phone"


def values(topic: str = TOPIC, **body: Any) -> dict[str, tuple[Any, str | None, float | None]]:
    readings = OwnTracks().decode(topic, json.dumps(body).encode(), True, NOW)
    assert {reading.device for reading in readings} <= {"jane/phone"}
    return {reading.quantity: (reading.value, reading.unit, reading.time) for reading in readings}


def test_a_location_in_its_units_at_its_time() -> None:
    at = 1_767_225_600.0
    found = values(_type="location", tst=1767225600, lat=52.5, lon=13.4, alt=34, vel=7, batt=80, p=100.3, tid="ne")
    assert found == {
        "latitude": (52.5, "°", at),
        "longitude": (13.4, "°", at),
        "altitude": (34, "m", at),
        "battery": (80, "%", at),
        "speed": (7, "km/h", at),
        "pressure": (100.3, "kPa", at),
    }


def test_minus_one_is_not_known() -> None:
    found = values(_type="location", lat=1.0, lon=2.0, batt=-1, vel=-1, cog=-1)
    assert set(found) == {"latitude", "longitude"}
    assert values("owntracks/jane/phone/step", _type="steps", steps=-1) == {}


def test_steps_are_the_devices() -> None:
    assert values("owntracks/jane/phone/step", _type="steps", steps=8123) == {"steps": (8123, None, None)}


@pytest.mark.parametrize("kind", ["lwt", "waypoint", "waypoints", "transition", "card", "cmd", "encrypted", None, 3])
def test_other_types_have_no_readings(kind: Any) -> None:
    assert values(_type=kind, lat=52.5, lon=13.4) == {}


@pytest.mark.parametrize("place", [{"lat": 91, "lon": 0}, {"lat": 0, "lon": -181}, {"lat": "52"}, {"lat": 1}])
def test_a_location_off_the_globe_is_an_error(place: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        values(_type="location", **place)


def test_the_will_takes_a_device_offline_and_a_fresh_location_brings_it_back() -> None:
    decoder = OwnTracks()
    location = b'{"_type":"location","lat":1,"lon":2}'
    assert decoder.claims(TOPIC)
    assert decoder.observe(TOPIC, b'{"_type":"lwt"}', True, NOW) == [DeviceState("jane/phone", False)]
    assert decoder.observe(TOPIC, location, False, NOW) == [DeviceState("jane/phone", True)]
    assert decoder.observe(TOPIC, location, True, NOW) == []


def test_recognised_by_topic_or_by_its_type() -> None:
    decoder = OwnTracks()
    assert decoder.recognises("owntracks/jane/phone/event", b"")
    assert decoder.recognises("somewhere/else", b'{"_type":"location","lat":1,"lon":2}')
    assert not decoder.recognises("somewhere/else", b'{"type":"location"}')
    assert not decoder.recognises("somewhere/else", b'{"_type":"weather","temperature":3}')
    assert decoder.observe(TOPIC, b"", True, NOW) == []


def test_a_trackers_ignition_is_a_truth() -> None:
    assert values(_type="location", lat=1.0, lon=2.0, ign=True, motion="yes")["ign"] == (True, None, None)
