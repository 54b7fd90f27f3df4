"""OpenMQTTGateway and Theengs: one device's properties as the Theengs decoder names them."""

import json
from typing import Any

import pytest

from devices.reading import DecodeError, DeviceState
from devices.theengs import Theengs

NOW = 1_790_000_000.0
TOPIC = "home/OpenMQTTGateway/BTtoMQTT/A4C1386E4AE8"


def values(**body: Any) -> dict[tuple[str | None, str], tuple[Any, str | None]]:
    payload = json.dumps({"id": "A4:C1:38:6E:4A:E8"} | body).encode()
    readings = Theengs().decode(TOPIC, payload, False, NOW)
    assert {reading.device for reading in readings} <= {"A4:C1:38:6E:4A:E8"}
    return {(reading.channel, reading.quantity): (reading.value, reading.unit) for reading in readings}


def test_fahrenheit_is_left_out_where_celsius_says_the_same() -> None:
    assert values(tempc=14.2, tempf=57.56) == {(None, "temperature"): (14.2, "°C")}
    assert values(tempf=57.56) == {(None, "temperature"): (57.56, "°F")}
    assert values(tempc3=86, tempf3=186.8, tempc4=145) == {
        ("3", "temperature"): (86, "°C"),
        ("4", "temperature"): (145, "°C"),
    }


def test_a_dew_point_is_no_second_probe() -> None:
    assert values(tempc2_dp=-19.2, tempc3_hi=20) == {
        (None, "dew_point"): (-19.2, "°C"),
        (None, "heat_index"): (20, "°C"),
    }


def test_units_of_the_decoders_table() -> None:
    assert values(moi=20, fer=350, lux=100, pres=1027.6, pm25=3, volt=2.9) == {
        (None, "moisture"): (20, "%"),
        (None, "conductivity"): (350, "µS/cm"),
        (None, "illuminance"): (100, "lx"),
        (None, "pressure"): (1027.6, "hPa"),
        (None, "pm25"): (3, "µg/m³"),
        (None, "voltage"): (2.9, "V"),
    }
    assert values(model_id="TPMS", pres=2.3) == {(None, "pressure"): (2.3, "bar")}
    assert values(weight=71.2, unit="kg") == {(None, "weight"): (71.2, "kg")}


def test_a_meter_names_its_units_next_to_its_values() -> None:
    assert values(avg=2.376, avgu="kW", sum=21.2928, sumu="kWh") == {
        (None, "power"): (2.376, "kW"),
        (None, "energy"): (21.2928, "kWh"),
    }


def test_states_are_truths_and_flags_are_nothing() -> None:
    assert values(open=True, cont=True, cidc=False, acts=True, track=True, prmac=1, lowbatt=False, motion=1) == {
        (None, "opening"): (True, None),
        (None, "battery_low"): (False, None),
        (None, "motion"): (True, None),
    }


@pytest.mark.parametrize("value", ["14.2", True, None, 10**30, [1]])
def test_what_is_no_number_is_no_reading(value: Any) -> None:
    assert values(tempc=value, hum=value) == {}


def test_other_modules_and_undecoded_topics_have_no_readings() -> None:
    decoder = Theengs()
    for topic in (
        "home/OMG/433toMQTT",
        "home/OMG/SYStoMQTT",
        "home/OMG/LWT",
        "home/OMG/BTtoMQTT",
        "home/home_presence/OMG",
    ):
        assert decoder.recognises(topic, b"")
        assert decoder.decode(topic, b'{"value":4534142,"rssi":-2,"tempc":3}', False, NOW) == []


def test_the_gateways_will_is_availability() -> None:
    decoder = Theengs()
    assert decoder.claims("home/OpenMQTTGateway/LWT")
    assert decoder.observe("home/OMG_Garage/LWT", b"online", True, NOW) == [DeviceState("OMG_Garage", True)]
    assert not decoder.claims("tele/tasmota/LWT")
    with pytest.raises(DecodeError):
        decoder.observe("home/OMG_Garage/LWT", b"maybe", True, NOW)


def test_a_body_that_is_no_object_is_an_error() -> None:
    with pytest.raises(DecodeError):
        Theengs().decode(TOPIC, b"[1]", False, NOW)
