"""A simulated fleet: the same for the same seed, believable to the families' own decoders, never a flood."""

import json
import subprocess
import sys

import pytest

from devices.reading import Reading
from devices.registry import Registry
from devices.simulator import FAMILIES, START, Fleet, Publication
from devices.simulator.fleet import default_families

NOW = 1_790_000_000.0

# family: every quantity its simulated devices measure, with the unit a viewer is to see
MEASURED: dict[str, dict[str, str | None]] = {
    "plain": {"temperature": "°C", "humidity": "%", "carbon_dioxide": "ppm", "illuminance": "lx"},
    "tasmota": {"temperature": "°C", "humidity": "%", "power": "W", "voltage": "V", "current": "A", "energy": "kWh"}
    | {"power_factor": None, "switch": None},
    "zigbee2mqtt": {"temperature": "°C", "humidity": "%", "pressure": "hPa", "battery": "%", "contact": None},
    "shelly_gen2": {"power": "W", "voltage": "V", "current": "A", "energy": "Wh", "temperature": "°C", "switch": None},
    "esphome": {"temperature": "°C", "humidity": "%", "carbon_dioxide": "ppm", "pm25": "µg/m³", "motion": None},
    "sparkplug": {"Inputs/Flow": "m³/h", "Inputs/Level": "mm", "Motor/Power": "W", "Alarm": None},
    "theengs": {"temperature": "°C", "humidity": "%", "battery": "%", "voltage": "V", "signal_strength": "dBm"},
    "homie": {"temperature": "°C", "humidity": "%", "wind_speed": "km/h"},
    "shelly_gen1": {"power": "W", "energy": "Wmin", "temperature": "°C", "switch": None},
    "ruuvi": {"temperature": "°C", "humidity": "%", "pressure": "Pa", "acceleration": "[g]", "voltage": "V"},
    "senml": {"temperature": "°C", "humidity": "%", "illuminance": "lx"},
    "rtl_433": {"temperature": "°C", "humidity": "%", "wind_speed": "m/s", "wind_direction": "°", "precipitation": "mm"}
    | {"wind_gust": "m/s", "battery_ok": None},
    "tts": {"temperature": "°C", "voltage": "V", "moisture": "%", "conductivity": "µS/cm"},
    "chirpstack": {"distance": "cm", "temperature": "°C", "tamper": None},
    "owntracks": {"latitude": "°", "longitude": "°", "altitude": "m", "speed": "km/h", "battery": "%"},
}
RANGES = {"°C": (-30.0, 60.0), "%": (0.0, 100.0), "hPa": (950.0, 1070.0), "V": (0.5, 260.0), "lx": (0.0, 150_000.0)}


def hour(family: str, registry: Registry) -> list[Reading]:
    fleet = Fleet(seed=7, devices=2, families=[family])
    readings = []
    for message in [*fleet.births(NOW), *fleet.step(NOW), *fleet.step(NOW + 3600)]:
        registry.observe(message.topic, message.payload, message.retain, NOW + 3600)
        readings += registry.decode(message.topic, message.payload, message.retain, NOW + 3600)
    return readings


def test_every_family_has_its_expectation() -> None:
    assert MEASURED.keys() == FAMILIES.keys()
    assert len(FAMILIES) >= 8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_decoder_understands_every_message(family: str) -> None:
    registry = Registry()
    readings = hour(family, registry)
    assert registry.failures() == []
    units = {(reading.quantity, reading.unit) for reading in readings}
    assert MEASURED[family].items() <= units
    assert len({reading.device for reading in readings}) >= 2
    for reading in readings:
        low, high = RANGES.get(reading.unit or "", (-1e12, 1e12))
        assert not isinstance(reading.value, str)
        assert low <= reading.value <= high, reading


@pytest.mark.slow
def test_a_day_has_a_curve() -> None:
    fleet = Fleet(seed=3, devices=1, families=["plain"], catch_up=1e6)
    fleet.step(START)
    values = [
        (START + hours * 3600, json.loads(message.payload)["value"])
        for hours in range(1, 25)
        for message in fleet.step(START + hours * 3600)[-4:]
        if message.topic.endswith("/temperature")
    ]
    warmest = max(values, key=lambda pair: pair[1])[0]
    assert 11 <= (warmest - START) / 3600 <= 19


def test_the_same_seed_says_the_same_in_another_process() -> None:
    code = (
        "from devices.simulator import Fleet\nimport hashlib\nfleet = Fleet(seed=5)\n"
        f"messages = fleet.births({NOW}) + fleet.step({NOW}) + fleet.step({NOW} + 300)\n"
        "print(hashlib.sha256(repr(messages).encode()).hexdigest())"
    )
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1


def test_steps_of_any_size_say_the_same() -> None:
    coarse, fine = Fleet(seed=2), Fleet(seed=2)
    coarse.step(NOW)
    fine.step(NOW)
    whole = coarse.step(NOW + 1000)
    assert [message for step in range(4000) for message in fine.step(NOW + (step + 1) / 4)] == whole
    assert Fleet(seed=3).births(NOW) != Fleet(seed=2).births(NOW)


def test_the_plain_topics_always_show_something() -> None:
    fleet = Fleet()
    fleet.step(NOW)
    rooms = [message for message in fleet.step(NOW + 60) if message.topic.startswith("sensors/")]
    assert len(rooms) > 120
    assert {message.topic.count("/") for message in rooms} == {2}


def test_no_topic_has_a_character_that_brokers_refuse() -> None:
    fleet = Fleet(devices=60)
    for message in [*fleet.births(NOW), *fleet.step(NOW), *fleet.step(NOW + 60), *fleet.deaths(NOW)]:
        assert not set(" #+\0\n") & set(message.topic)
        assert message.qos in (0, 1)


def test_devices_of_a_large_fleet_do_not_share_topics() -> None:
    fleet = Fleet(devices=4500)
    # Homie says $state twice at birth: init, then ready.
    births = [message.topic for message in fleet.births(NOW) if not message.topic.endswith("/$state")]
    assert len(births) == len(set(births))
    assert len(births) > 4500


def test_devices_fail_and_come_back() -> None:
    registry = Registry()
    fleet = Fleet(seed=1, devices=15, families=["tasmota", "homie", "sparkplug"], catch_up=1e6)
    changes: dict[str, list[bool]] = {}
    for message in [*fleet.births(NOW), *fleet.step(NOW), *fleet.step(NOW + 7200)]:
        for state in registry.observe(message.topic, message.payload, message.retain, NOW + 7200):
            changes.setdefault(state.device, []).append(state.online)
    assert len(changes) == 20  # a Sparkplug node and its pump are two devices
    assert all(states[0] for states in changes.values())
    returned = [states for states in changes.values() if False in states and True in states[states.index(False) :]]
    assert len(returned) >= 10


def test_the_dead_are_silent_until_they_are_born_again() -> None:
    fleet = Fleet(devices=1, families=["tasmota"])
    fleet.births(NOW)
    assert fleet.deaths(NOW) == [Publication(fleet.births(NOW)[0].topic, b"Offline", True, 0)]
    fleet.deaths(NOW)
    assert fleet.deaths(NOW) == []
    fleet.step(NOW)
    assert fleet.step(NOW + 10)[0].payload == b"Online"


@pytest.mark.parametrize("rate", [1.0, 100.0, 1000.0])
def test_a_rate_is_kept(rate: float) -> None:
    fleet = Fleet(seed=4, devices=30, rate=rate, catch_up=1e9)
    fleet.step(NOW)
    seconds = 20_000 / rate
    assert len(fleet.step(NOW + seconds)) / seconds == pytest.approx(rate, rel=0.15)


def test_after_a_long_pause_the_fleet_goes_on_from_there() -> None:
    fleet = Fleet()
    fleet.step(NOW)
    usual = len(fleet.step(NOW + 60))
    for jump in (NOW + 1e7, NOW - 1e7):
        assert len(fleet.step(jump)) == 0
        assert 0 < len(fleet.step(jump + 60)) < 2 * usual


def test_births_without_a_time_are_of_a_fixed_day() -> None:
    assert Fleet(families=["sparkplug"]).births() == Fleet(families=["sparkplug"]).births(START)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"families": ["tasmota", "nonsense"]}, "nonsense.*choose from plain, tasmota"),
        ({"families": []}, "no family"),
        ({"devices": 0}, "at least one"),
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
    ],
)
def test_arguments_that_make_no_fleet(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fleet(**arguments)  # type: ignore[arg-type]


def test_where_nothing_named_google_is_installed_there_is_a_fleet_without_sparkplug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An installation with the extra demo alone: looking for google.protobuf raised, and demo and simulate ended."""
    for name in [name for name in sys.modules if name.startswith("google.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google", None)  # what an import of nothing finds

    assert set(default_families()) == FAMILIES.keys() - {"sparkplug"}
    assert Fleet(1, len(FAMILIES)).births(NOW)
