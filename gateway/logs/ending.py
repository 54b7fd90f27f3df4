"""Tasks are ended for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN = 0.1  # seconds


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
