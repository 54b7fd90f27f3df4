"""Which log a configuration asks for; what a log needs is imported only then."""

import asyncio
import secrets
import time
from pathlib import Path

from gateway.config import History
from gateway.hub.log import Log, MemoryLog, Sink


def make_log(history: History, *, state_dir: Path, memory: int, sink: Sink, loop: asyncio.AbstractEventLoop) -> Log:
    """The log behind `[history]`, not opened yet; `memory` is its bound in bytes."""
    if history.disk is None:
        return MemoryLog(sink, epoch=secrets.token_hex(4), limit=memory, age=history.age, clock=time.monotonic)
    from gateway.logs.sqlite import SqliteLog

    return SqliteLog(
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
