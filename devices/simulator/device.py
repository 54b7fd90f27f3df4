"""What every simulated device is: a name, a period, and the messages of its birth, its samples and its death."""

import json
import random
from typing import Any, ClassVar, NamedTuple


class Publication(NamedTuple):
    """One message to publish: bytes as its family sends them, with the flags its family uses."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0


class Device:
    """One simulated device.

    Messages are functions of the simulated time and of the device's own random numbers, so a fleet says the same
    whatever the size of the steps it is asked in.
    """

    family: ClassVar[str]
    #: seconds between two samples
    period: ClassVar[float] = 5.0

    def __init__(self, number: int, rng: random.Random) -> None:
        self.number = number
        self.rng = rng

    @classmethod
    def common(cls, devices: "list[Device]") -> list[Publication]:
        """Messages that one bridge or gateway sends for all of the family's `devices` at birth."""
        return []

    def births(self, now: float) -> list[Publication]:
        """Discovery and availability, sent when the device appears."""
        return []

    def sample(self, now: float) -> list[Publication]:
        """One period's measurements."""
        raise NotImplementedError  # every family has its own; there is no measurement of a device as such

    def deaths(self, now: float) -> list[Publication]:
        """The last will, as its broker would send it."""
        return []

    def mac(self, separator: str = "") -> str:
        """A MAC address of the locally administered range: the family's own by number, alike in every fleet."""
        # An odd factor maps the 2^24 numbers onto themselves: addresses look random and never meet.
        octets = b"\x02\x5e\x4d" + ((self.number * 0x9E3779 + 0x1D872B) & 0xFFFFFF).to_bytes(3, "big")
        return octets.hex(separator).upper() if separator else octets.hex().upper()


def document(topic: str, body: Any, retain: bool = False, qos: int = 0) -> Publication:
    """A message whose payload is compact JSON."""
    return Publication(topic, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), retain, qos)


def text(topic: str, body: str | float, retain: bool = False, qos: int = 0) -> Publication:
    """A message whose payload is plain text."""
    return Publication(topic, str(body).encode(), retain, qos)
