"""Tasks that are ended for certain, and whose faults are told."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

logger = logging.getLogger("gateway.history")

AGAIN = 0.1  # seconds
FAULT = 1.0
"""Seconds before something is tried again at which the gateway, or a server's answer, had a fault nobody foresaw."""


def tell_fault(failure: BaseException) -> None:
    """Say that there is a mistake in the gateway, and where."""
    logger.error("history: a fault in the gateway; it goes on", exc_info=failure)


class Tasks:
    """What goes on by itself until `end`, or for as long as it takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Let it go on."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def count(self, *names: str) -> int:
        """How many of these names there are now."""
        return sum(task.get_name() in names for task in self._tasks)

    async def end(self) -> None:
        """End all."""
        await ended(self._tasks)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            tell_fault(failure)


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel `tasks`, and return once they have ended.

    Until Python 3.12 `asyncio.wait_for`, on which nats-py's requests stand, may drop a cancellation that comes together
    with the answer (CPython gh-86296): the task would go on for ever, and so would whoever waits for it.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)
