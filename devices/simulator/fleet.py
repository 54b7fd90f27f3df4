"""A deterministic fleet: what every device has to say up to a simulated time.

No socket and no clock: the caller decides what time it is, so a day passes as fast as it is asked for.
"""

import heapq
import math
import random
from collections.abc import Sequence
from importlib.util import find_spec

from devices.simulator.device import Device, Publication
from devices.simulator.home import EspHome, Homie, ShellyGen1, ShellyGen2, Tasmota, Zigbee2Mqtt
from devices.simulator.plant import OwnTracks, Plain, SenMl, SparkplugNode
from devices.simulator.radio import ChirpStack, Rtl433, Ruuvi, Theengs, TheThingsStack

#: family name -> its simulated device, in the order in which a fleet hands out its places
FAMILIES: dict[str, type[Device]] = {
    device.family: device
    for device in (
        Plain,
        Tasmota,
        Zigbee2Mqtt,
        ShellyGen2,
        EspHome,
        SparkplugNode,
        Theengs,
        Homie,
        ShellyGen1,
        Ruuvi,
        SenMl,
        Rtl433,
        TheThingsStack,
        ChirpStack,
        OwnTracks,
    )
}

#: simulated time of births that nobody gave a time for: 2026-01-01T00:00:00Z
START = 1767225600.0

# A device is away about once in 20 minutes, long enough to be seen in a demonstration.
_SECONDS_PER_OUTAGE = 1200.0
_OUTAGE_SECONDS = (20.0, 90.0)


def default_families() -> tuple[str, ...]:
    """All families whose libraries are installed (Sparkplug needs protobuf)."""
    return tuple(name for name in FAMILIES if name != "sparkplug" or _has_protobuf())


def _has_protobuf() -> bool:
    try:
        return find_spec("google.protobuf") is not None
    except ModuleNotFoundError:  # not even another part of the namespace "google" is there
        return False


class Fleet:
    """Simulated devices, dealt over `families` in turn.

    Args:
        seed: the same seed says the same things at the same times, whatever the size of the steps.
        devices: how many.
        families: names from FAMILIES; None takes all whose libraries are installed.
        rate: messages per second of the whole fleet, counted in simulated time; None keeps each family's own period.
        catch_up: seconds; after a longer jump of `now` in either direction (a suspended machine, a clock set) the
            fleet goes on from there instead of sending all that was missed.

    Raises:
        ValueError: an unknown family, no device, or a rate that is not positive and finite.
    """

    def __init__(
        self,
        seed: int = 1,
        devices: int = 20,
        families: Sequence[str] | None = None,
        *,
        rate: float | None = None,
        catch_up: float = 3600.0,
    ) -> None:
        names = tuple(families) if families is not None else default_families()
        unknown = sorted(set(names) - FAMILIES.keys())
        if unknown or not names:
            what = f"unknown family {', '.join(unknown)}" if unknown else "no family given"
            msg = f"{what}: choose from {', '.join(FAMILIES)}"
            raise ValueError(msg)
        if devices < 1 or (rate is not None and not 0 < rate < math.inf):
            msg = "a fleet needs at least one device and a rate above zero"
            raise ValueError(msg)
        self._devices: list[Device] = [
            FAMILIES[names[index % len(names)]](index // len(names), random.Random(f"{seed}/{index}"))
            for index in range(devices)
        ]
        self._catch_up = catch_up
        self._stretch = 1.0 if rate is None else self._natural_rate(seed) / rate
        self._due: list[tuple[float, int]] = []
        self._away: set[int] = set()
        self._now: float | None = None

    def births(self, now: float | None = None) -> list[Publication]:
        """What bridges and devices publish when they appear: discovery, descriptions, availability."""
        at = self._time(now)
        messages = [message for kind, devices in self._by_kind().items() for message in kind.common(devices)]
        for device in self._devices:
            messages += device.births(at)
        self._away.clear()
        return messages

    def step(self, now: float) -> list[Publication]:
        """All that is due up to `now` (Unix seconds, simulated), in order of time."""
        if self._now is None or abs(now - self._now) > self._catch_up:
            self._due = [
                (now + device.period * self._stretch * random.Random(index).random(), index)
                for index, device in enumerate(self._devices)
            ]
            heapq.heapify(self._due)
        self._now = now
        messages: list[Publication] = []
        while self._due[0][0] <= now:
            due, index = heapq.heappop(self._due)
            device = self._devices[index]
            if index in self._away:
                self._away.discard(index)
                messages += device.births(due)
            elif device.rng.random() * _SECONDS_PER_OUTAGE < device.period:
                self._away.add(index)
                messages += device.deaths(due)
                pause = device.rng.uniform(*_OUTAGE_SECONDS)
                heapq.heappush(self._due, (due + max(pause, device.period) * self._stretch, index))
                continue
            messages += device.sample(due)
            # Crystals differ: without jitter all devices of a family would speak in the same millisecond for ever.
            heapq.heappush(self._due, (due + device.period * self._stretch * device.rng.uniform(0.9, 1.1), index))
        return messages

    def deaths(self, now: float | None = None) -> list[Publication]:
        """The last wills of all devices that are not away already."""
        at = self._time(now)
        messages: list[Publication] = []
        for index, device in enumerate(self._devices):
            if index not in self._away:
                self._away.add(index)
                messages += device.deaths(at)
        return messages

    def _time(self, now: float | None) -> float:
        if now is not None:
            return now
        return START if self._now is None else self._now

    def _by_kind(self) -> dict[type[Device], list[Device]]:
        kinds: dict[type[Device], list[Device]] = {}
        for device in self._devices:
            kinds.setdefault(type(device), []).append(device)
        return kinds

    def _natural_rate(self, seed: int) -> float:
        """Messages per second at the families' own periods, counted on throw-away devices."""
        rate = 0.0
        for kind, devices in self._by_kind().items():
            probe = kind(0, random.Random(f"{seed}/probe"))
            probe.births(START)
            rate += len(devices) * len(probe.sample(START)) / kind.period
        return rate
