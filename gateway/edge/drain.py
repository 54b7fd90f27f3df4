"""The end of a gateway as its clients see it: each its own goodbye, spread over the time there is."""

import asyncio
import random
from collections.abc import Callable, Mapping

from gateway.edge.connection import Connection
from gateway.edge.states import State
from gateway.errors import RESTART, STOPPING

RESTART_SPREAD = 0.3  # seconds: somebody else takes the clients already


class Drain:
    """`under_way` from the first call of `run`; `left` has to be called whenever a connection is gone."""

    def __init__(self, connections: Mapping[int, Connection], clock: Callable[[], float]) -> None:
        self.under_way = False
        self._connections = connections
        self._clock = clock
        self._emptied = asyncio.Event()

    async def run(self, seconds: float, *, restart: bool) -> None:
        """Say goodbye to everybody, each served until its own, and wait for them; `seconds` in all."""
        self.under_way = True
        spread = min(seconds, RESTART_SPREAD) if restart else seconds * 0.9
        start = self._clock()
        waiting = [c for c in self._connections.values() if c.state is State.OPEN and c.session is not None]
        random.shuffle(waiting)
        for number, connection in enumerate(waiting):
            pause = start + spread * number / max(1, len(waiting)) - self._clock()
            if pause > 0:
                await asyncio.sleep(pause)
            goodbye(connection, restart=restart)
        if self._connections:
            try:
                await asyncio.wait_for(self._emptied.wait(), max(0.0, start + seconds - self._clock()))
            except TimeoutError:
                pass  # whoever has not closed by now is aborted

    def left(self) -> None:
        """A connection is gone."""
        if self.under_way and not self._connections:
            self._emptied.set()


def goodbye(connection: Connection, *, restart: bool) -> None:
    """Tell one client when to come back, and close politely."""
    if connection.session is None or connection.state is not State.OPEN:
        return
    retry_after = random.uniform(0.2, 1.0) if restart else random.uniform(1.0, 10.0)
    code = RESTART if restart else STOPPING
    connection.session.closing(code.meaning, retry_after)
    connection.finish(code.code, code.meaning)
