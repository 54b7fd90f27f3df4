import pytest
from support.readings import NOW, decode

from devices.reading import DecodeError, DeviceState
from devices.tasmota import Tasmota


@pytest.mark.parametrize(
    ("topic", "device"),
    [("tele/plug/SENSOR", "plug"), ("tele/house/cellar/plug/SENSOR", "house/cellar/plug"),
     ("plug/tele/SENSOR", "plug"),
     ("site/tele/house/plug/SENSOR", "house/plug"), ("a/b/tele/SENSOR", "a/b")],
)  # fmt: skip
def test_the_device_is_found_in_any_full_topic(topic: str, device: str) -> None:
    (reading,) = Tasmota().decode(topic, b'{"AM2301":{"Humidity":50}}', False, NOW)
    assert reading.device == device


@pytest.mark.parametrize(
    "topic", ["tele/rak/up", "telex/a/SENSOR", "a/SENSOR", "tele/SENSOR", "tele/a/sensor", "tele/a/SENSORS", "SENSOR"]
)
def test_other_topics_are_left_alone(topic: str) -> None:
    assert not Tasmota().recognises(topic, b"{}")
    assert Tasmota().decode(topic, b'{"AM2301":{"Humidity":50}}', False, NOW) == []


def test_unit_keys_speak_for_the_whole_document() -> None:
    body = {"BME280": {"Temperature": 70.5, "Pressure": 753.0, "SeaPressure": 760.0, "DewPoint": 50.1},
            "TempUnit": "F", "PressureUnit": "mmHg"}  # fmt: skip
    assert decode(Tasmota(), "tele/a/SENSOR", body) == [
        ("BME280", "temperature", 70.5, "°F"),
        ("BME280", "pressure", 753.0, "mmHg"),
        ("BME280", "sea_level_pressure", 760.0, "mmHg"),
        ("BME280", "dew_point", 50.1, "°F"),
    ]
    assert decode(Tasmota(), "tele/a/SENSOR", {"BMP180": {"Pressure": 972.1}}) == [("BMP180", "pressure", 972.1, "hPa")]


def test_energy_is_scalar_array_or_object() -> None:
    body = {"ENERGY": {"Total": {"Phase1": 1.5, "Phase2": 2.5}, "Power": [8, 0], "Voltage": 230, "Factor": None,
                       "TotalStartTime": "2020-01-01T00:00:00", "Period": 0, "ExportActive": 0.25}}  # fmt: skip
    assert decode(Tasmota(), "tele/a/SENSOR", body) == [
        ("ENERGY.Phase1", "energy", 1.5, "kWh"),
        ("ENERGY.Phase2", "energy", 2.5, "kWh"),
        ("ENERGY.0", "power", 8, "W"),
        ("ENERGY.1", "power", 0, "W"),
        ("ENERGY", "voltage", 230, "V"),
        ("ENERGY", "energy_period", 0, "Wh"),
        ("ENERGY", "energy_returned", 0.25, "kWh"),
    ]


def test_a_key_means_what_its_driver_means_by_it() -> None:
    body = {"SR04": {"Distance": 200.5}, "VL53L0X_1": {"Distance": 300}, "AS3935": {"Distance": 12, "Energy": 58622},
            "LD2410": {"Energy": [13]}, "INA219": {"Voltage": 4.5, "Power": 0.1}, "IBEACON": {"RSSI": -56,
     "MAC": "A4C1"},
            "ANALOG": {"Temperature1": 20.5}}  # fmt: skip
    assert decode(Tasmota(), "tele/a/SENSOR", body) == [
        ("SR04", "distance", 200.5, "cm"),
        ("VL53L0X_1", "distance", 300, "mm"),
        ("AS3935", "distance", 12, "km"),
        ("AS3935", "energy", 58622, None),
        ("LD2410.0", "energy", 13, None),
        ("INA219", "voltage", 4.5, "V"),
        ("INA219", "power", 0.1, "W"),
        ("IBEACON", "signal_strength", -56, "dBm"),
        ("ANALOG.1", "temperature", 20.5, "°C"),
    ]


def test_a_probe_that_does_not_answer_is_no_reading_and_the_power_on_value_is_flagged() -> None:
    body = b'{"DS18B20-1":{"Id":"3C01E076647F","Temperature":-127.0},"DS18B20-2":{"Temperature":85.0}}'
    (reading,) = Tasmota().decode("tele/a/SENSOR", body, False, NOW)
    assert (reading.channel, reading.value, reading.flag) == ("DS18B20-2", 85.0, "power-on")


def test_a_truth_or_a_text_is_no_measurement() -> None:
    body = {"A": {"Temperature": True, "Humidity": "50", "Pressure": None}, "B": {"Temperature": [False, 1.5]}}
    assert decode(Tasmota(), "tele/a/SENSOR", body) == [("B.1", "temperature", 1.5, "°C")]


def test_zigbee_nodes_are_channels_and_their_power_is_a_switch() -> None:
    body = {"ZbReceived": {"Kitchen": {"Device": "0x8F20", "Power": 1, "Temperature": 21.5, "PressureUnit": "hPa",
                                       "Pressure": 1004, "0006!01": 5, "Occupancy": 2}}}  # fmt: skip
    assert decode(Tasmota(), "tele/bridge/8F20/SENSOR", body) == [
        ("Kitchen", "switch", True, None),
        ("Kitchen", "temperature", 21.5, "°C"),
        ("Kitchen", "pressure", 1004, "hPa"),
    ]
    (reading, *_) = Tasmota().decode(
        "tele/bridge/8F20/SENSOR", b'{"ZbReceived":{"K":{"Device":"0x8F20","Humidity":1}}}', False, NOW
    )
    assert reading.device == "bridge"


def test_state_says_the_radio_in_per_cent_and_dbm() -> None:
    body = {"UptimeSec": 60, "POWER1": "ON", "Wifi": {"RSSI": 28, "Signal": -86}, "Heap": 19}
    assert decode(Tasmota(), "tele/a/STATE", body) == [
        ("POWER1", "switch", True, None),
        (None, "uptime", 60, "s"),
        ("Wifi", "signal_quality", 28, "%"),
        ("Wifi", "signal_strength", -86, "dBm"),
    ]


def test_only_a_time_with_a_zone_is_a_time() -> None:
    def time(stated: str) -> float | None:
        return Tasmota().decode("tele/a/SENSOR", f'{{{stated},"A":{{"Humidity":1}}}}'.encode(), False, NOW)[0].time

    assert time('"Time":"2026-01-01T00:00:00"') is None
    assert time('"Time":"1970-01-01T00:00:12"') is None
    assert time('"Time":"2026-01-01T01:00:00+01:00"') == 1_767_225_600
    assert time('"Time":"2026-01-01T05:00:00","Epoch":1767225600') == 1_767_225_600


@pytest.mark.parametrize("payload", [b"invalid", b"[]", b'{"DHT11":{"Temperature": nan}}', b'"Total":1}', b'{"a":'])
def test_a_broken_document_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        Tasmota().decode("tele/a/SENSOR", payload, False, NOW)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("tele/a/SENSOR", b""), ("tele/a/LWT", b"Online"), ("cmnd/a/POWER", b"ON"), ("cmnd/a/TelePeriod", b"30"),
     ("tele/a/INFO2", b'{"Hostname":"a"}'), ("stat/a/STATUS5", b'{"StatusNET":{"Mask":1}}'), ("stat/a/POWER", b"HOLD"),
     ("tasmota/discovery/AABBCC/config", b'{"ver":1}')],
)  # fmt: skip
def test_what_measures_nothing_gives_nothing(topic: str, payload: bytes) -> None:
    assert Tasmota().recognises(topic, payload)
    assert Tasmota().decode(topic, payload, False, NOW) == []


def test_the_last_will_is_availability() -> None:
    tasmota = Tasmota()
    assert tasmota.claims("tele/house/plug/LWT")
    assert not tasmota.claims("tele/house/plug/SENSOR")
    assert tasmota.observe("tele/house/plug/LWT", b"Online", True, NOW) == (DeviceState("house/plug", True),)
    assert tasmota.observe("tele/house/plug/LWT", b"Offline", True, NOW) == (DeviceState("house/plug", False),)
    assert tasmota.observe("tele/house/plug/LWT", b"", True, NOW) == ()
