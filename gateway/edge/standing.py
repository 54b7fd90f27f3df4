"""What stands now and is told to whoever comes: topics that are stale, devices that came or went."""

from collections.abc import Callable, Iterator

from gateway.edge import events
from gateway.hub.freshness import Change

MOST = 20_000  # devices remembered; those heard of longest ago go first
PORTION = 256  # events sent before the socket has to take them


class Standing:
    """`stale` tells which topics are; the daemon puts it there."""

    def __init__(self) -> None:
        self.stale: Callable[[], list[Change]] = list
        self._devices: dict[str, tuple[str, events.Device]] = {}

    def device(self, topic: str, said: events.Device) -> None:
        """Remember what was said of a device, because of a message of `topic`."""
        self._devices.pop(said.device, None)
        self._devices[said.device] = topic, said
        if len(self._devices) > MOST:
            del self._devices[next(iter(self._devices))]

    def told(self, wanted: Callable[[str], bool]) -> Iterator[events.Event]:
        """What somebody who wants these topics is told."""
        for topic, said in list(self._devices.values()):
            if wanted(topic):
                yield said
        for change in self.stale():
            if wanted(change.topic):
                yield event_of(change)


def event_of(change: Change) -> events.Stale | events.Fresh:
    """The event that tells of a change."""
    kind = events.Stale if change.stale else events.Fresh
    return kind(topic=change.topic, age=round(change.age, 3), stale_after=round(change.stale_after, 3))


class Telling:
    """One client's standing news on their way, as fast as its socket takes them; a Stepper of the desk."""

    def __init__(
        self, news: Iterator[events.Event], tell: Callable[[events.Event], None], ready: Callable[[], bool]
    ) -> None:
        self.over = False
        self._news = news
        self._tell = tell
        self._ready = ready

    def step(self) -> bool:
        """Send a portion; whether another step can be taken at once."""
        if self.over or not self._ready():
            return False
        for _ in range(PORTION):
            said = next(self._news, None)
            if said is None:
                self.over = True
                return False
            self._tell(said)
        return self._ready()
