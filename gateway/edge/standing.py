"""What stands now and is told to whoever comes: topics that are stale, devices that came or went."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from gateway.edge import events
from gateway.hub.freshness import Change

MOST = 20_000  # devices remembered; those heard of longest ago go first
PORTION = 256  # looked at, and sent, before the socket has to take them and others have their turn


class Standing:
    """`stale` tells which topics are; the daemon puts it there."""

    def __init__(self) -> None:
        self.stale: Callable[[], Iterable[Change]] = tuple
        self._devices: dict[str, tuple[str, events.Device]] = {}

    def device(self, topic: str, said: events.Device) -> None:
        """Remember what was said of a device, because of a message of `topic`."""
        self._devices.pop(said.device, None)
        self._devices[said.device] = topic, said
        if len(self._devices) > MOST:
            del self._devices[next(iter(self._devices))]

    def told(self, wanted: Callable[[str], bool]) -> Iterator[events.Event | None]:
        """What somebody who wants these topics is told; None for each of the others, so that looking can be paused."""
        for topic, said in list(self._devices.values()):
            yield said if wanted(topic) else None
        for change in self.stale():
            yield event_of(change) if wanted(change.topic) else None


def event_of(change: Change) -> events.Stale | events.Fresh:
    """The event that tells of a change."""
    kind = events.Stale if change.stale else events.Fresh
    return kind(topic=change.topic, age=round(change.age, 3), stale_after=round(change.stale_after, 3))


class Telling:
    """One client's standing news on their way, as fast as its socket takes them; a Stepper of the desk."""

    def __init__(
        self, news: Iterator[events.Event | None], tell: Callable[[events.Event], None], ready: Callable[[], bool]
    ) -> None:
        self.over = False
        self._news = news
        self._tell = tell
        self._ready = ready

    def step(self) -> bool:
        """Send a portion; whether another step can be taken at once."""
        if self.over or not self._ready():
            return False
        looked = 0
        for said in islice(self._news, PORTION):
            looked += 1
            if said is not None:
                self._tell(said)
        self.over = looked < PORTION
        return not self.over and self._ready()
