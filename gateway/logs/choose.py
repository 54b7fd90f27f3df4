"""Which log a configuration asks for; what a log needs is imported only then."""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from gateway.config import History
from gateway.hub.log import Log, MemoryLog, Sink
from gateway.hub.ports import Turns
from gateway.hub.series import SeriesReader
from gateway.logs.history import MemoryHistory


class Reader(SeriesReader, Protocol):
    """A SeriesReader with a life."""

    def start(self) -> None:
        """Go on with what an earlier run was asked for."""

    def close(self) -> None:
        """End; the log is closed after it."""


class SharedLog(Log, Turns, Protocol):
    """A Log that is kept elsewhere, for many gateways.

    `gap(upstream)` is told where messages were lost before the log, `gone(first, last)` where they were deleted before
    this gateway had them, `over` where all offsets begin anew: nothing is left to do but to start again.
    """

    gap: Callable[[str], None]
    gone: Callable[[int, int], None]
    over: Callable[[], None]

    async def begin(self) -> None:
        """Before `open`: connect, however long it takes. Raises GatewayError."""

    async def end(self) -> None:
        """Before `close`: disconnect."""

    @property
    def lag(self) -> tuple[int, float]:
        """How many messages there are that were not handed on yet, and for how many seconds there were any."""

    @property
    def fault(self) -> str:
        """Why this gateway does not show what the log holds, "" while it does."""

    def call_unsigned(self, upstream: str) -> None:
        """From now on what devices put into it themselves comes under the name of this upstream."""

    def tell_gap(self, upstream: str) -> None:
        """Tell every gateway that messages of an upstream that this one follows were lost."""


class Made(NamedTuple):
    """A log, not opened yet, and what makes its reader; `shared` is the log where it is one for many gateways."""

    log: Log
    reader: Callable[[], Reader]
    shared: SharedLog | None = None


def make_log(
    history: History,
    *,
    state_dir: Path,
    memory: int,
    sink: Sink,
    loop: asyncio.AbstractEventLoop,
    name: str = "",
    busy: Callable[[], bool] = lambda: False,
    upstream: str = "",
    parted: Callable[[], None] = lambda: None,
) -> Made:
    """The log behind `[history]`; `memory` is its bound in bytes. `parted` is called when its epoch is another one.

    For a shared one: `name` is the gateway's, `busy` says that the hub cannot take more, `upstream` names what devices
    put into it themselves. Raises GatewayError where a library is missing.
    """
    if history.log == "jetstream":
        from gateway.logs.jetstream import JetStreamLog
        from gateway.logs.streamhistory import StreamHistory

        shared = JetStreamLog(
            sink,
            settings=history.jetstream,
            name=name,
            limit=memory,
            age=history.age,
            loop=loop,
            busy=busy,
            upstream=upstream,
        )
        return Made(shared, lambda: StreamHistory(shared, loop=loop, stored=history.jetstream.max_age), shared)
    if history.disk is None:
        ring = MemoryLog(sink, epoch=secrets.token_hex(4), limit=memory, age=history.age, clock=time.monotonic)
        return Made(ring, lambda: MemoryHistory(ring, loop=loop))
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
        parted=parted,
    )
    return Made(log, lambda: DiskHistory(log, loop=loop))
