"""The end of a gateway as its clients see it: each its own goodbye, spread over the time there is."""

import asyncio
import random
from collections.abc import Callable, Mapping

from gateway.edge.connection import Connection
from gateway.edge.session import Session
from gateway.edge.states import State
from gateway.errors import RESTART, STOPPING

RESTART_SPREAD = 0.3  # seconds: somebody else takes the clients already
SOON = (0.2, 1.0)  # seconds until a client comes back where it will be served at once
LATER = (1.0, 10.0)


class Drain:
    """`under_way` from the first call of `run`; `left` has to be called whenever a connection is gone."""

    def __init__(self, connections: Mapping[int, Connection], clock: Callable[[], float]) -> None:
        self.under_way = False
        self._connections = connections
        self._clock = clock
        self._emptied = asyncio.Event()
        self._code = STOPPING
        self._back = LATER

    async def run(self, seconds: float, *, restart: bool = False, elsewhere: bool = False) -> None:
        """Say goodbye to everybody, each served until its own, and wait for them; `seconds` in all.

        `restart`: the sockets live on in somebody else's hands. `elsewhere`: other gateways serve the same clients now.
        """
        self.under_way = True
        self._code = RESTART if restart else STOPPING
        self._back = SOON if restart or elsewhere else LATER
        spread = min(seconds, RESTART_SPREAD) if restart else seconds * 0.9
        start = self._clock()
        waiting = [c for c in self._connections.values() if c.state is State.OPEN and c.session is not None]
        random.shuffle(waiting)
        for number, connection in enumerate(waiting):
            pause = start + spread * number / max(1, len(waiting)) - self._clock()
            if pause > 0:
                await asyncio.sleep(pause)
            # Drawn within a part of the time for each alone: no two come back in the same moment.
            self.goodbye(connection, (number + random.random() / 2) / len(waiting))
        if self._connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), max(0.0, start + seconds - self._clock()))
            except TimeoutError:
                pass  # whoever has not closed by now is aborted

    def left(self) -> None:
        """A connection is gone."""
        if self.under_way and not self._connections:
            self._emptied.set()

    def goodbye(self, connection: Connection, place: float | None = None) -> None:
        """Tell one client when to come back, and close politely; `place` (0 to 1) is where in the time there is."""
        self._dismiss(connection, self._code.code, self._code.meaning, self._back, place)

    def recall(self, reason: str) -> None:
        """Have everybody come back at once: what they were told as they came in is true no more."""
        for connection in list(self._connections.values()):
            if connection.session is not None:
                self._dismiss(connection, RESTART.code, reason, SOON)

    def _dismiss(
        self, connection: Connection, code: int, reason: str, back: tuple[float, float], place: float | None = None
    ) -> None:
        if connection.state is not State.OPEN:
            return
        earliest, latest = back
        wait = earliest + (latest - earliest) * (random.random() if place is None else place)

        def part(session: Session) -> None:
            session.closing(reason, wait)
            connection.finish(code, reason)

        connection.converse(part)
