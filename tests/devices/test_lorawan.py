"""LoRaWAN codecs: keys taken apart, shapes walked, registers without a probe left out."""

from typing import Any

import pytest

from devices.lorawan import MAX_KEYS, MAX_READINGS, classify, decoded

NOW = 1_790_000_000.0


def found(document: Any, time: float | None = None) -> list[tuple[str, str, Any, str | None]]:
    return [(str(r.channel), r.quantity, r.value, r.unit) for r in decoded("d", document, time, NOW)]


@pytest.mark.parametrize(
    ("key", "quantity", "unit"),
    [
        ("TempC_SHT", "temperature", "°C"),
        ("TempC1", "temperature", "°C"),
        ("TempF", "temperature", "°F"),
        ("temperature_0", "temperature", "°C"),
        ("ambient_temperature", "temperature", "°C"),
        ("airtemperature", "temperature", "°C"),
        ("Soiltemperature", "temperature", "°C"),
        ("Hum_SHT", "humidity", "%"),
        ("relative_humidity", "humidity", "%"),
        ("relative_humidity_2", "humidity", "%"),
        ("rh", "humidity", "%"),
        ("BatV", "voltage", "V"),
        ("Bat_mV", "voltage", "mV"),
        ("Bat", "voltage", "V"),
        ("batteryVoltage", "voltage", "V"),
        ("BATTERYVOLTAGE", "voltage", "V"),
        ("FENCEVOLTAGE", "fencevoltage", "V"),
        ("FENCE_VOLTAGE_STD", "fence_voltage_std", None),
        ("batteryVoltageState", "battery_voltage_state", None),
        ("ADC_CH0V", "voltage", "V"),
        ("ACI1_mA", "current", "mA"),
        ("AVI1_V", "voltage", "V"),
        ("Phase_A", "phase_a", None),
        ("Mode_C", "mode_c", None),
        ("distance_cm", "distance", "cm"),
        ("speedKmph", "speed", "km/h"),
        ("latitudeDeg", "latitude", "°"),
        ("barometric_pressure_0", "pressure", None),
        ("Soilmoisture", "moisture", None),
        ("water_SOIL", "moisture", "%"),
        ("conduct_SOIL", "conductivity", "µS/cm"),
        ("co2", "carbon_dioxide", None),
        ("battery", "battery", None),
        ("zisternenpegel", "zisternenpegel", None),
    ],
)
def test_a_key_is_quantity_and_unit(key: str, quantity: str, unit: str | None) -> None:
    assert classify(key) == (quantity, unit)


def test_a_channel_is_the_path_and_within_a_list_the_record() -> None:
    assert found({"decoded": {"Pressure": 100.34}}) == [("decoded.Pressure", "pressure", 100.34, None)]
    assert found({"temperature": {"1": 21.4}}) == [("temperature.1", "temperature", 21.4, "°C")]
    assert found({"data": [{"air": {"co2": 612}}]}) == [("data.0.air", "carbon_dioxide", 612, None)]
    assert found({"accelerometer_3": {"x": 0.1}}) == [("accelerometer_3.x", "acceleration", 0.1, None)]


def test_records_of_a_list_keep_their_own_time() -> None:
    document = {"data": [{"time": "2026-01-01T00:00:00Z", "air": {"temperature": 1}}, {"air": {"temperature": 2}}]}
    assert [reading.time for reading in decoded("d", document, 1.7e9, NOW)] == [1_767_225_600.0, 1.7e9]


def test_values_that_are_named_beside_them() -> None:
    messages = {
        "messages": [{"type": "Air Temperature", "measurementValue": 22.8, "measurementId": "4097"}],
        "valid": True,
    }
    assert found(messages) == [("messages.0", "temperature", 22.8, "°C")]
    assert found({"depth": {"value": 2.5, "unit": "m"}}) == [("depth", "depth", 2.5, "m")]


@pytest.mark.parametrize(
    "document",
    [
        {"TempC_DS": 327.67, "Hum_SHT": 655.35},
        {"TempC1": -0.1, "TempC2": -0.1, "TempC3": -0.1},
        {"Firmware_Version": "100", "Sensor_Model": 9, "Sub_Band": 0, "Systimestamp": 1661462010, "port": 20},
        {"state": "FREE", "raw": [1, 2, 3], "nothing": None, "bytes": "DPYB"},
        {"temperature": "22.1; DROP", "humidity": "nan", "co2": "1e999"},
        [1, 2],
        "text",
        None,
    ],
)
def test_what_says_nothing_of_the_world_is_no_reading(document: Any) -> None:
    assert found(document) == []


def test_one_probe_at_minus_a_tenth_is_a_cold_day() -> None:
    assert found({"TempC1": -0.1, "TempC2": 4.0}) == [
        ("TempC1", "temperature", -0.1, "°C"),
        ("TempC2", "temperature", 4.0, "°C"),
    ]


def test_numbers_in_text_count_for_known_quantities() -> None:
    assert found({"temp_SOIL": "25.85", "serial": "1234"}) == [("temp_SOIL", "temperature", 25.85, "°C")]


def test_flags_are_truths() -> None:
    assert found({"tamper": 1.0, "inTrip": False, "Door_status": "OPEN"}) == [
        ("tamper", "tamper", True, None),
        ("inTrip", "in_trip", False, None),
        ("Door_status", "opening", True, None),
    ]


def test_one_uplink_has_a_bounded_number_of_readings() -> None:
    assert len(found({f"v{index}": index for index in range(2000)})) == MAX_READINGS
    assert len(found([[{"v": 1}]] * 5000)) <= MAX_READINGS


def test_a_document_of_nothing_but_names_ends_the_look() -> None:
    late = {f"k{index}": "text" for index in range(MAX_KEYS)} | {"temperature": 1}
    assert found(late) == []
    assert found({"deep": [[[]] * 500] * 500, "temperature": 1}) == []
