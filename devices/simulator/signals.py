"""Believable signals: daily curves with wandering noise, switched loads, counters, batteries, flags.

Each is asked once per sample, in order of time; `now` is Unix seconds (the day is UTC's).
"""

import math
import random

DAY = 86400.0


class Daily:
    """A daily curve: `base` ± `swing`, highest at `peak` o'clock, plus noise that wanders instead of jumping."""

    def __init__(
        self,
        rng: random.Random,
        base: float,
        swing: float,
        noise: float,
        *,
        peak: float = 15.0,
        digits: int = 1,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> None:
        self._rng = rng
        self._base = base
        self._swing = swing
        self._noise = noise
        self._peak = peak * 3600.0
        self._digits = digits
        self._low = low
        self._high = high
        self._drift = 0.0

    def at(self, now: float) -> float:
        self._drift = 0.9 * self._drift + self._rng.gauss(0.0, self._noise)
        value = self._base + self._swing * math.cos(2 * math.pi * (now - self._peak) / DAY) + self._drift
        return round(min(max(value, self._low), self._high), self._digits)


class Load:
    """A switched consumer: on and off for random times, its power with noise, its energy counted in Wh."""

    def __init__(self, rng: random.Random, watts: float, *, hold: float = 300.0, start_wh: float = 120_000.0) -> None:
        self._rng = rng
        self._watts = watts
        self._hold = hold
        self._until: float | None = None
        self._last = 0.0
        self.on = rng.random() < 0.6
        self.watts = 0.0
        self.energy_wh = start_wh

    def at(self, now: float) -> float:
        if self._until is None:
            self._until, self._last = now + self._rng.expovariate(1 / self._hold), now
        # An hour at most: after a pause the meter goes on, it does not make up for years.
        self.energy_wh += self.watts * min(max(now - self._last, 0.0), 3600.0) / 3600.0
        self._last = now
        if now >= self._until:
            self.on = not self.on
            self._until = now + self._rng.expovariate(1 / self._hold)
        self.watts = round(max(self._watts * self._rng.gauss(1.0, 0.02), 0.0), 1) if self.on else 0.0
        return self.watts


class Flag:
    """A state that changes now and then: a door, a motion, a leak; `busy` is the mean time in seconds it stays."""

    def __init__(self, rng: random.Random, *, busy: float = 60.0, idle: float = 240.0) -> None:
        self._rng = rng
        self._means = (idle, busy)
        self._until: float | None = None
        self.value = False

    def at(self, now: float) -> bool:
        if self._until is None:
            self._until = now + self._rng.expovariate(1 / self._means[self.value])
        elif now >= self._until:
            self.value = not self.value
            self._until = now + self._rng.expovariate(1 / self._means[self.value])
        return self.value


class Battery:
    """A battery in percent that loses one percent in a day and is changed when it is empty."""

    def __init__(self, rng: random.Random) -> None:
        self._full = rng.uniform(60.0, 100.0)
        self._since: float | None = None

    def at(self, now: float) -> int:
        if self._since is None:
            self._since = now
        level = self._full - (now - self._since) / DAY
        if not 5.0 <= level <= 100.0:
            self._full, self._since = 100.0, now
            return 100
        return round(level)


class Counter:
    """A running total that grows in steps: rain, pulses, litres."""

    def __init__(self, rng: random.Random, step: float, *, chance: float = 0.1, start: float = 0.0) -> None:
        self._rng = rng
        self._step = step
        self._chance = chance
        self._count = round(start / step)

    def at(self) -> float:
        if self._rng.random() < self._chance:
            self._count += 1
        return round(self._count * self._step, 3)
