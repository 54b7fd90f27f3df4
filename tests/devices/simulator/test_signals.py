"""Signals of simulated devices: curves, loads, counters, batteries, flags."""

import random
from itertools import pairwise

from devices.simulator.signals import DAY, Battery, Counter, Daily, Flag, Load


def test_a_daily_curve_peaks_at_its_hour_and_keeps_its_bounds() -> None:
    curve = Daily(random.Random(1), 20.0, 5.0, 0.0, peak=15.0, digits=2, low=16.0, high=24.0)
    values = {hour: curve.at(hour * 3600.0) for hour in range(24)}
    assert max(values, key=values.__getitem__) in range(12, 19)
    assert min(values.values()) == 16.0
    assert max(values.values()) == 24.0


def test_noise_wanders_instead_of_jumping() -> None:
    curve = Daily(random.Random(1), 20.0, 0.0, 0.1, digits=3)
    values = [curve.at(0.0) for _ in range(2000)]
    steps = [abs(b - a) for a, b in pairwise(values)]
    assert max(steps) < 0.6
    assert 0.3 < max(values) - min(values) < 3.0


def test_a_load_counts_what_it_uses() -> None:
    load = Load(random.Random(2), 1000.0, hold=600.0, start_wh=0.0)
    used = 0.0
    for second in range(0, 36000, 10):
        before = load.watts
        load.at(float(second))
        used += before * 10 / 3600 if second else 0.0
        assert load.watts == 0.0 or (load.on and 850 < load.watts < 1150)
    assert 500 < load.energy_wh < 10_500
    assert abs(load.energy_wh - used) < 1e-6 * used


def test_a_meter_does_not_make_up_for_a_pause() -> None:
    load = Load(random.Random(1), 1000.0, hold=1e9, start_wh=0.0)
    load.on = True
    load.at(0.0)
    load.at(365 * DAY)
    assert load.energy_wh < 1100


def test_a_battery_falls_slowly_and_is_changed() -> None:
    battery = Battery(random.Random(3))
    levels = [battery.at(day * DAY) for day in range(200)]
    assert min(levels) >= 5
    assert max(levels) == 100
    assert all(later <= sooner or later == 100 for sooner, later in pairwise(levels))


def test_a_flag_is_mostly_idle() -> None:
    flag = Flag(random.Random(1), busy=60.0, idle=240.0)
    states = [flag.at(second * 10.0) for second in range(20_000)]
    assert 0.1 < sum(states) / len(states) < 0.35


def test_a_counter_only_grows_in_whole_steps() -> None:
    counter = Counter(random.Random(1), 0.3, start=90.0)
    values = [counter.at() for _ in range(500)]
    assert values == sorted(values)
    assert values[0] >= 90.0
    assert values[-1] > values[0]
