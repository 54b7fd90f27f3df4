"""What messages mean: the devices' decoders on the message's way, run only where somebody asked.

`observe` runs on every message of topics that some family claims as its state (discovery, births, availability);
`of` runs for a viewer, a chart or the page that wants readings, once per message however many want them.
"""

from collections.abc import Callable

from devices.reading import DeviceState, Reading
from devices.registry import Registry
from gateway.hub.message import Message


class Readings:
    """The registry of decoders behind the hub. `wall` is Unix seconds; `changed` hears of devices that come and go."""

    def __init__(self, registry: Registry, *, wall: Callable[[], float]) -> None:
        self.registry = registry
        self.changed: Callable[[str, DeviceState], None] | None = None
        self._wall = wall
        self._before = 0  # what makes the generation grow on when the registry is another one
        self._last: Message | None = None
        self._readings: list[Reading] = []

    @property
    def generation(self) -> int:
        """Changes whenever a topic that nobody claimed may be claimed now."""
        return self.registry.generation + self._before

    def replace(self, registry: Registry) -> None:
        """Decode by `registry` from now on: every topic may be claimed anew."""
        self._before = self.generation + 1 - registry.generation
        self.registry = registry
        self._last = None

    def kept(self, topic: str) -> bool:
        """Whether every message of `topic` counts: presses and alarms are never merged."""
        return self.registry.keep_all(topic)

    def observe(self, message: Message) -> bool:
        """Let the families that claim this topic see the message; False where none does."""
        if not self.registry.claims(message.topic):
            return False
        states = self.registry.observe(message.topic, message.payload, message.retained, self._received(message))
        if self.changed is not None:
            for state in states:
                self.changed(message.topic, state)
        return True

    def of(self, message: Message) -> list[Reading]:
        """The readings of a message."""
        if message is not self._last:
            self._last = message
            received = self._received(message)
            self._readings = self.registry.decode(message.topic, message.payload, message.retained, received)
        return self._readings

    def _received(self, message: Message) -> float:
        return self._wall() if message.timestamp is None else message.timestamp
