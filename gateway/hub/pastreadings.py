"""The readings of a device as a series: which topic carries them, and what each of its messages says."""

from collections.abc import Callable, Iterable

import msgspec

from devices.registry import Registry
from gateway.hub.message import Message
from gateway.hub.series import Source, number_of


def reading_source(registry: Registry, device: str, channel: str | None, quantity: str) -> Source | None:
    """The source of a reading; None where no such reading was heard."""
    topic = registry.table.topic_of(device, channel, quantity)
    if topic is None:
        return None
    name = msgspec.json.encode(["reading", device, channel, quantity]).decode()
    return Source(name, (topic,), _numbers(registry, device, channel, quantity))


def _numbers(
    registry: Registry, device: str, channel: str | None, quantity: str
) -> Callable[[Message], Iterable[float]]:
    wanted = device, channel, quantity

    def numbers(message: Message) -> Iterable[float]:
        now = message.timestamp or 0.0
        found = []
        for reading in registry.reread(message.topic, message.payload, message.retained, now):
            if (reading.device, reading.channel, reading.quantity) == wanted:
                number = number_of(reading.value)
                if number is not None:
                    found.append(number)
        return found

    return numbers
