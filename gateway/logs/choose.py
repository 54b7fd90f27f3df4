"""Which log a configuration asks for; what a log needs is imported only then."""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.config import History
from gateway.hub.log import Log, MemoryLog, Sink
from gateway.hub.series import SeriesReader
from gateway.logs.history import MemoryHistory


class Reader(SeriesReader, Protocol):
    """A SeriesReader with a life."""

    def start(self) -> None:
        """Go on with what an earlier run was asked for."""

    def close(self) -> None:
        """End; the log is closed after it."""


Made = tuple[Log, Callable[[], Reader]]


def make_log(history: History, *, state_dir: Path, memory: int, sink: Sink, loop: asyncio.AbstractEventLoop) -> Made:
    """The log behind `[history]`, not opened yet, and what makes its reader; `memory` is its bound in bytes."""
    if history.disk is None:
        ring = MemoryLog(sink, epoch=secrets.token_hex(4), limit=memory, age=history.age, clock=time.monotonic)
        return ring, lambda: MemoryHistory(ring, loop=loop)
    from gateway.logs.diskhistory import DiskHistory
    from gateway.logs.sqlite import SqliteLog

    log = SqliteLog(
        sink,
        path=history.disk,
        folder=state_dir,
        limit=memory,
        age=history.age,
        disk_limit=history.disk_limit,
        disk_age=history.disk_age,
        commit=history.commit,
        durable=history.durable,
        loop=loop,
    )
    return log, lambda: DiskHistory(log, loop=loop)
