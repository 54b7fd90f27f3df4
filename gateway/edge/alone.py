"""A client that acknowledges what it gets: served alone, as fast as its acknowledgements come. Pure.

It stands between the hub and the client's connection. The frames are still those of its audience, encoded once; only
the stamp (a packet identifier) is this client's own. What may not go out yet waits here, bounded like any outbox.
"""

from collections.abc import Callable

from gateway.edge.dialects.window import Window
from gateway.edge.wire import Line
from gateway.errors import SLOW_CONSUMER
from gateway.hub.batch import Batch
from gateway.hub.ledger import Ledger
from gateway.hub.outbox import Overflow
from gateway.hub.rate import Pressure
from gateway.hub.row import Places
from gateway.hub.volley import NOWHERE

FRAMES = 256  # go out together
SIZE = 64 * 1024


class Alone:
    """A Wire in front of `line`; `queued` while anything waits here or there. In no volley."""

    slot = NOWHERE

    def __init__(self, line: Line, window: Window, clock: Callable[[], float]) -> None:
        self._line = line
        self._window = window
        self._backlog = line.backlog()
        self._clock = clock
        self._releasing = False
        window.limit = self._backlog.bounds.hard

    @property
    def queued(self) -> bool:
        return bool(self._backlog) or self._line.queued

    @property
    def session(self) -> object:
        """The session that is served alone."""
        return getattr(self._line, "session", None)

    @property
    def size(self) -> int:
        """Bytes that wait here."""
        return self._backlog.size

    def send(self, blob: bytes) -> int:
        """Refuses: nothing reaches the socket but through the window."""
        raise BlockingIOError

    def stand(self, sends: Places, place: int) -> None:
        sends[place] = self.send

    def failed(self, batch: Batch, error: OSError) -> None:
        self.push(batch)

    def short(self, batch: Batch, taken: int) -> None:
        raise AssertionError("send never takes a part")

    def push(self, batch: Batch) -> None:
        try:
            self._backlog.push(batch, now=None if batch.messages is None else self._clock())
        except Overflow:
            self._line.abort(SLOW_CONSUMER.meaning)
            return
        self.release()

    def pressure(self) -> Pressure:
        pressure = self._line.pressure()
        return Pressure(pressure.behind or bool(self._backlog), self._backlog.waiting, pressure.taken)

    def owe(self, ledger: Ledger) -> None:
        self._backlog.owe(ledger)
        self.release()

    def end(self) -> None:
        """The client is gone: give back what waits."""
        self._backlog.close()

    def deliver(self, frame: bytes) -> None:
        """Send an answer: it waits for no acknowledgement."""
        self._line.deliver(frame)

    def release(self) -> None:
        """Let go what the window and the socket take."""
        if self._releasing:
            return  # the socket took it all, and says so: the loop below goes on
        self._releasing = True
        try:
            self._release()
        finally:
            self._releasing = False

    def _release(self) -> None:
        while self._backlog and not self._line.queued:
            count, size = self._window.room
            if count <= 0 or size <= 0:
                return
            taken = self._backlog.take(min(count, FRAMES), min(size, SIZE))
            frames = [self._window.send(frame) for frame in taken]
            if frames:
                self._line.push(Batch(frames, None))

    def beat(self, now: float) -> None:
        """End a client that has been past `hard` for longer than `patience`."""
        if self._backlog.overdue(now):
            self._line.abort(SLOW_CONSUMER.meaning)
