"""Simulated fleets for the demo, `sensor-gateway simulate` and tests: seeded, without a socket or a clock."""

from devices.simulator.device import Publication
from devices.simulator.fleet import FAMILIES, START, Fleet, default_families

__all__ = ["FAMILIES", "START", "Fleet", "Publication", "default_families"]
