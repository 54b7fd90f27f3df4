import pytest
from support.readings import NOW, decode, encode

from devices.reading import DecodeError, DeviceState
from devices.zigbee2mqtt import Zigbee2Mqtt


def bridge(*exposes: dict[str, object], name: str = "sensor") -> bytes:
    return encode([{"friendly_name": name, "definition": {"exposes": list(exposes)}}, {"definition": None}, 7])


def numeric(name: str, unit: str | None = None, access: int = 1) -> dict[str, object]:
    return {"type": "numeric", "property": name, "access": access, "unit": unit}


def test_without_exposes_the_usual_units_count() -> None:
    body = {
        "temperature": 21.5,
        "humidity": 50,
        "co2": 600,
        "voc": 3,
        "battery": 90,
        "voltage": 3000,
        "linkquality": 99,
    }
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a/b", body) == [
        (None, "temperature", 21.5, "°C"),
        (None, "humidity", 50, "%"),
        (None, "carbon_dioxide", 600, "ppm"),
        (None, "volatile_organic_compounds", 3, None),
        (None, "battery", 90, "%"),
        (None, "voltage", 3000, "mV"),
        (None, "link_quality", 99, None),
    ]
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/plug", {"voltage": 243, "power": 5}) == [
        (None, "voltage", 243, "V"),
        (None, "power", 5, "W"),
    ]


def test_exposes_state_the_units_and_what_is_a_setting() -> None:
    decoder = Zigbee2Mqtt()
    climate = {
        "type": "climate",
        "features": [numeric("local_temperature", "°F"), numeric("dead_zone", "°C", access=7)],
    }
    payload = bridge(numeric("formaldehyd", "mg/m³"), climate, numeric("voltage", "mV"))
    decoder.observe("zigbee2mqtt/bridge/devices", payload, True, NOW)
    body = {"formaldehyd": 1, "local_temperature": 70.5, "dead_zone": 2, "voltage": 90}
    assert decode(decoder, "zigbee2mqtt/sensor", body) == [
        (None, "formaldehyde", 1, "mg/m³"),
        (None, "local_temperature", 70.5, "°F"),
        (None, "voltage", 90, "mV"),
    ]


def test_a_renamed_base_is_known_by_its_bridge() -> None:
    decoder = Zigbee2Mqtt()
    assert not decoder.recognises("home/zigbee/sensor", b'{"t":1}')
    decoder.observe("home/zigbee/bridge/devices", bridge(numeric("temperature", "°C")), True, NOW)
    assert decoder.recognises("home/zigbee/sensor", b'{"t":1}')
    assert decoder.generation == 1
    (reading,) = decoder.decode("home/zigbee/sensor", b'{"temperature":1}', False, NOW)
    assert reading.device == "sensor"


def test_link_quality_gives_a_renamed_base_away() -> None:
    assert Zigbee2Mqtt().recognises("home/sensor", b'{"linkquality":100,"temperature":1}')
    assert not Zigbee2Mqtt().recognises("home/sensor", b'{"temperature":1}')


def test_what_is_no_measurement_is_left_out() -> None:
    body = {"action": "single", "update": {"state": "idle"}, "temperature_calibration": -1.5, "heating_setpoint": 20,
            "last_seen": "N/A", "device": {"ieeeAddr": "0x1"}, "elapsed": 123, "temperature": None,
     "motion_timeout": 30,
            "color": {"x": 0.3}, "countdown": 4, "child_lock": "UNLOCK",
     "illuminance": 9000, "illuminance_lux": 8}  # fmt: skip
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a", body) == [(None, "illuminance", 8, "lx")]


def test_booleans_come_in_many_forms_and_contact_stays_as_zigbee2mqtt_means_it() -> None:
    body = {"occupancy": "true", "contact": "OFF", "water_leak": 1, "tamper": "0", "state": "ON", "state_left": "OFF"}
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a", body) == [
        (None, "occupancy", True, None),
        (None, "contact", False, None),
        (None, "water_leak", True, None),
        (None, "tamper", False, None),
        (None, "switch", True, None),
        ("left", "switch", False, None),
    ]


def test_sentinels_of_the_clusters_are_no_values() -> None:
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a", {"temperature": -327.68, "humidity": 655.35}) == []
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a", {"temperature": True, "battery": False}) == []


def test_last_seen_is_the_time() -> None:
    decoder = Zigbee2Mqtt()
    for seen in ('"2026-01-01T01:00:00+01:00"', "1767225600000"):
        (reading,) = decoder.decode("zigbee2mqtt/a", f'{{"temperature":1,"last_seen":{seen}}}'.encode(), False, NOW)
        assert reading.time == 1_767_225_600


def test_attribute_output_is_one_property_a_topic() -> None:
    decoder = Zigbee2Mqtt()
    assert decode(decoder, "zigbee2mqtt/living/lamp/temperature", "21.5") == [(None, "temperature", 21.5, "°C")]
    assert decode(decoder, "zigbee2mqtt/lamp/contact", "true") == [(None, "contact", True, None)]
    assert decode(decoder, "zigbee2mqtt/lamp/action", "single") == []
    assert decode(decoder, "zigbee2mqtt/lamp/color", {"x": 0.3}) == []
    assert decoder.decode("zigbee2mqtt/living/lamp/temperature", b"1", False, NOW)[0].device == "living/lamp"


@pytest.mark.parametrize(
    "topic",
    ["bridge/state", "bridge/event", "bridge/request/permit_join", "a/availability", "a/set", "a/get", "a/set/state"],
)
def test_commands_and_the_bridge_are_no_readings(topic: str) -> None:
    assert decode(Zigbee2Mqtt(), f"zigbee2mqtt/{topic}", {"value": 1, "brightness": 255}) == []
    assert decode(Zigbee2Mqtt(), "zigbee2mqtt/a", b"") == []


@pytest.mark.parametrize("payload", [b"{", b"21.5", b'"{}"', b"\xff\xfe", b"[1]"])
def test_a_device_topic_without_an_object_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Zigbee2Mqtt().decode("zigbee2mqtt/a", payload, False, NOW)


def test_availability_is_text_or_json() -> None:
    decoder = Zigbee2Mqtt()
    for topic in ("zigbee2mqtt/a/b/availability", "zigbee2mqtt/bridge/state"):
        assert decoder.claims(topic)
    assert not decoder.claims("other/a/availability")
    assert decoder.observe("zigbee2mqtt/a/b/availability", b"offline", True, NOW) == (DeviceState("a/b", False),)
    assert decoder.observe("zigbee2mqtt/a/availability", b'{"state":"online"}', True, NOW) == (DeviceState("a", True),)
    assert decoder.observe("zigbee2mqtt/bridge/state", b"online", True, NOW) == (DeviceState("bridge", True),)
    assert decoder.observe("zigbee2mqtt/a/availability", b"", True, NOW) == ()


def test_what_the_bridge_says_is_bounded() -> None:
    decoder = Zigbee2Mqtt()
    wide = {"friendly_name": "d0", "definition": {"exposes": [numeric(f"p{number}") for number in range(300)]}}
    many = [wide, *({"friendly_name": f"d{number}", "definition": {"exposes": []}} for number in range(1, 3000))]
    decoder.observe("zigbee2mqtt/bridge/devices", encode(many), True, NOW)
    assert len(decoder._exposed) == 2000
    assert len(decoder._exposed["zigbee2mqtt", "d0"]) == 200
    for index in range(100):
        decoder.observe(f"base{index}/bridge/info", b"{}", True, NOW)
    assert len(decoder._bases) == 16
    with pytest.raises(DecodeError):
        decoder.observe("zigbee2mqtt/bridge/devices", b"{}", True, NOW)
