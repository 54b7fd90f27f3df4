"""rtl_433: keys carry type and unit, topics carry the rest."""

import json
from typing import Any

import pytest

from devices.reading import DecodeError, DeviceState, Reading
from devices.rtl433 import Rtl433, split

NOW = 1_790_000_000.0
EVENTS = "rtl_433/shed/events"


def event(**body: Any) -> list[Reading]:
    return Rtl433().decode(EVENTS, json.dumps({"model": "Acme-X", "id": 7} | body).encode(), False, NOW)


@pytest.mark.parametrize(
    ("key", "channel", "quantity", "unit"),
    [
        ("temperature_C", None, "temperature", "°C"),
        ("temperature_F", None, "temperature", "°F"),
        ("temperature_2_C", "2", "temperature", "°C"),
        ("humidity", None, "humidity", "%"),
        ("wind_avg_km_h", None, "wind_speed", "km/h"),
        ("wind_max_mi_h", None, "wind_gust", "mph"),
        ("wind_dir_deg", None, "wind_direction", "°"),
        ("rain_mm", None, "precipitation", "mm"),
        ("rain_rate_in_h", None, "precipitation_intensity", "in/h"),
        ("pressure_PSI", None, "pressure", "psi"),
        ("light_lux", None, "illuminance", "lx"),
        ("light_klx", None, "illuminance", "klx"),
        ("battery_V", None, "voltage", "V"),
        ("supercap_V", "supercap", "voltage", "V"),
        ("current_pv_A", "pv", "current", "A"),
        ("energy_kWh", None, "energy", "kWh"),
        ("setpoint_C", None, "setpoint", "°C"),
    ],
)
def test_a_key_is_quantity_and_unit(key: str, channel: str | None, quantity: str, unit: str) -> None:
    assert event(**{key: 3.5}) == [Reading("Acme-X/7", channel, quantity, 3.5, unit, None)]


@pytest.mark.parametrize("key", ["flags", "mic", "sequence_num", "button", "data", "freq1", "status", "_C", "C"])
def test_other_keys_are_no_measurements(key: str) -> None:
    assert event(**{key: 3}) == []
    assert split(key)[1] is None


@pytest.mark.parametrize(
    ("value", "quantity", "expected", "unit"),
    [(1, "battery_ok", True, None), (0, "battery_ok", False, None), (0.95, "battery", 95.0, "%")],
)
def test_the_battery_is_a_level_or_a_truth(value: float, quantity: str, expected: float, unit: str | None) -> None:
    assert event(battery_ok=value) == [Reading("Acme-X/7", None, quantity, expected, unit, None)]


def test_ids_are_names_and_never_numbers() -> None:
    payload = b'{"model":"Toyota","id":"1e5","channel":2,"temperature_C":9}'
    (reading,) = Rtl433().decode(EVENTS, payload, False, NOW)
    assert (reading.device, reading.channel) == ("Toyota/1e5", "2")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1656470510.619123", 1656470510.619123),
        ("2022-06-29T02:41:50Z", 1656470510.0),
        ("2022-06-29 02:41:50", None),  # local time of an unknown zone
        ("@0.145080s", None),
    ],
)
def test_a_time_counts_if_it_is_one(time: str, expected: float | None) -> None:
    (reading,) = event(time=time, temperature_C=1)
    assert reading.time == expected


def test_signal_levels_are_db_below_full_scale_or_dbm() -> None:
    assert [(r.quantity, r.unit) for r in event(rssi=-0.1, snr=30, noise=-30)] == [
        ("signal_strength", "dB"),
        ("snr", "dB"),
    ]
    assert [(r.quantity, r.unit) for r in event(rssi=-32)] == [("signal_strength", "dBm")]


@pytest.mark.parametrize(
    ("topic", "payload", "device", "quantity", "value"),
    [
        ("rtl_433/pi/devices/Fineoffset-WH2/37/temperature_C", b"17.4", "Fineoffset-WH2/37", "temperature", 17.4),
        ("sensors/rtl_433/P25/C1/rain_mm", b"107.699997", "P25/C1", "precipitation", 107.699997),
        ("sensors/rtl_433/P25/C1/battery_ok", b"1", "P25/C1", "battery_ok", True),
    ],
)
def test_plain_topics(topic: str, payload: bytes, device: str, quantity: str, value: float) -> None:
    (reading,) = Rtl433().decode(topic, payload, False, NOW)
    assert (reading.device, reading.quantity, reading.value) == (device, quantity, value)


@pytest.mark.parametrize("key", ["time", "id", "mic", "protocol"])
def test_plain_topics_of_no_measurement(key: str) -> None:
    assert Rtl433().decode(f"rtl_433/pi/devices/WH2/37/{key}", b"37", False, NOW) == []


@pytest.mark.parametrize("payload", [b"nan", b"1e999", b"1_000", "٣".encode(), b"true"])
def test_plain_values_are_read_strictly(payload: bytes) -> None:
    assert Rtl433().decode("rtl_433/pi/devices/WH2/37/temperature_C", payload, False, NOW) == []


def test_the_receiver_on_an_esp_speaks_the_same() -> None:
    topic = "home/OpenMQTTGateway/RTL_433toMQTT/Acurite-Tower/1234"
    payload = b'{"model":"Acurite-Tower","id":1234,"channel":"A","temperature_C":3.5}'
    assert Rtl433().recognises(topic, payload)
    (reading,) = Rtl433().decode(topic, payload, False, NOW)
    assert (reading.device, reading.channel, reading.value) == ("Acurite-Tower/1234", "A", 3.5)


def test_the_receivers_statistics_are_no_readings() -> None:
    assert Rtl433().decode("rtl_433/shed/states", b'{"enabled":1,"noise_dB":3}', False, NOW) == []


def test_availability() -> None:
    topic = "rtl_433/shed/availability"
    assert Rtl433().claims(topic)
    assert Rtl433().observe(topic, b"offline", True, NOW) == [DeviceState("shed", False)]
    assert Rtl433().decode(topic, b"offline", True, NOW) == []


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"text"])
def test_an_event_is_an_object(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Rtl433().decode(EVENTS, payload, False, NOW)
