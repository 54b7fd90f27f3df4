"""What goes on beside a connection: tasks that end with it, and whose failure ends it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.errors import UpstreamError

logger = logging.getLogger("gateway.upstream")


class Helpers:
    """Helpers of the link `upstream`; `drop` ends its connection for a reason."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: str, drop: Callable[[str], None]) -> None:
        self._loop = loop
        self._upstream = upstream
        self._drop = drop
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it go on beside the connection."""
        task = self._loop.create_task(self._guard(work), name=f"upstream-{self._upstream}-helper")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """The connection is over."""
        for task in self._tasks:
            task.cancel()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except UpstreamError as error:
            self._drop(error.text)
        except Exception:  # nobody would hear of it, and the connection would go on without what it stands for
            logger.exception("upstream %s: a fault in the gateway; it connects anew", self._upstream)
            self._drop("a fault in the gateway: see the log")
