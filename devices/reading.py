"""A reading, and the contract every decoder of a device family keeps."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Value = float | int | bool | str


class DecodeError(ValueError):
    """A payload that its family's own rules call malformed: counted per family and topic, never fatal."""


class Reading(NamedTuple):
    """One measured value.

    `device` and `channel` (a component of the device, None for the device itself) name the source, `quantity` is a
    canonical name (Home Assistant's device classes where one exists), `unit` is UCUM-like text or None for a number
    without one, `time` is Unix seconds, or None where the payload states no time of its own (or only a wall clock
    without a zone): the time of receipt then counts.
    """

    device: str
    channel: str | None
    quantity: str
    value: Value
    unit: str | None
    time: float | None


class DeviceState(NamedTuple):
    """A device's availability, in one spelling for all families."""

    device: str
    online: bool


class Decoder(Protocol):
    """One device family.

    `claims` says whether a topic carries the family's state (discovery, births, units, availability); `observe` is run
    on every message of such a topic, `decode` only on topics whose readings somebody asked for. Neither touches a
    socket, a file or a clock: `now` is Unix seconds.
    """

    family: str

    def claims(self, topic: str) -> bool:
        """Whether `observe` wants every message of this topic."""

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """Take in state; return availability changes. Raises DecodeError for a malformed document."""

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The payload's readings; empty for a valid message without one. Raises DecodeError if malformed."""
