"""A reading, and the contract every decoder of a device family keeps."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Value = float | int | bool | str


class DecodeError(ValueError):
    """A payload that its family's own rules call malformed: counted per family and topic, never fatal."""


class Reading(NamedTuple):
    """One measured value.

    `device` and `channel` (a component of the device, None for the device itself) name the source, `quantity` is a
    canonical name (`devices.quantities`: Home Assistant's device classes where one exists), `unit` is UCUM-like text
    or None for a number without one, `time` is Unix seconds, or None where the payload states no time of its own (or
    only a wall clock without a zone): the time of receipt then counts. `flag` is None for a value to be trusted, else
    one word that says why not: `"out-of-range"` (a mapping's `range` was left; the value is delivered all the same).
    """

    device: str
    channel: str | None
    quantity: str
    value: Value
    unit: str | None
    time: float | None
    flag: str | None = None


class DeviceState(NamedTuple):
    """A device's availability, in one spelling for all families."""

    device: str
    online: bool


class Decoder(Protocol):
    """One device family; constructed without arguments, all state inside and bounded in entries.

    `recognises` says whether an unknown topic looks like the family's (cheap, pure, tried in the registry's order when
    no family is configured; for a family that keeps state it may depend on what was observed). `claims` says whether a
    topic carries the family's state (discovery, births, units, availability); `observe` is run on every message of
    such a topic, `decode` only on topics whose readings somebody asked for. None of them touches a socket, a file or a
    clock: `now` is Unix seconds.
    """

    family: str

    def recognises(self, topic: str, payload: bytes) -> bool:
        """Whether the topic, or the payload's shape, is this family's. Never raises."""

    def claims(self, topic: str) -> bool:
        """Whether `observe` wants every message of this topic."""

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        """Take in state; return availability changes. Raises DecodeError for a malformed document."""

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The payload's readings; empty for a valid message without one. Raises DecodeError if malformed."""
