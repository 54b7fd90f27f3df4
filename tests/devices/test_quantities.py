import pytest

from devices import quantities
from devices.units import known_unit


@pytest.mark.parametrize(
    ("name", "plain"),
    [("cpuTemp", "cpu_temp"), ("Approx. Altitude", "approx_altitude"), ("GyroXAxis", "gyro_x_axis"),
     ("AMBTMP", "ambtmp"),
     ("phase_angle_L2_L1", "phase_angle_l2_l1"), ("temperatur außen", "temperatur_außen"), ("pm2.5", "pm25"),
     ("UptimeSec", "uptime_sec"), ("  a--b  ", "a_b"), ("A0", "a0"), ("___", "")],
)  # fmt: skip
def test_names_become_snake_case_and_keep_their_letters(name: str, plain: str) -> None:
    assert quantities.snake(name) == plain


def test_a_name_of_kilobytes_is_cut_and_not_cached() -> None:
    before = quantities._snake.cache_info().currsize
    assert len(quantities.snake("A" * 60_000)) == 64
    assert quantities._snake.cache_info().currsize == before


@pytest.mark.parametrize(
    ("key", "named"),
    [("temperature_c", ("temperature", "°C")), ("co2_ppm", ("carbon_dioxide", "ppm")), ("level%", ("level", "%")),
     ("wind_speed_kmh", ("wind_speed", "km/h")), ("wind_speed_m_s", ("wind_speed", "m/s")),
     ("temperature°C", ("temperature", "°C")),
     ("Pressure (hPa)", ("pressure", "hPa")), ("current_phase_c", ("current_phase_c", None)),
     ("phase_a", ("phase_a", None)),
     ("linkquality", ("link_quality", None)), ("eCO2", ("eco2", None))],
)  # fmt: skip
def test_a_unit_in_a_key_is_split_off_only_where_it_is_one(key: str, named: tuple[str, str | None]) -> None:
    assert quantities.named(key) == named


def test_device_classes_of_binary_sensors_are_told_from_those_of_sensors() -> None:
    assert quantities.from_device_class("battery") == "battery"
    assert quantities.from_device_class("battery", binary=True) == "battery_low"
    assert quantities.from_device_class("moisture", binary=True) == "water_leak"
    assert quantities.from_device_class("atmospheric_pressure") == "pressure"


def test_every_usual_unit_is_a_known_unit() -> None:
    for unit in filter(None, quantities.QUANTITIES.values()):
        assert known_unit(unit) == unit
