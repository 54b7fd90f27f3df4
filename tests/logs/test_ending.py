import asyncio
import contextlib

from gateway.logs.ending import ended


async def test_a_task_that_drops_a_cancellation_ends_all_the_same():
    """As asyncio.wait_for does before Python 3.12 where the answer comes in the same turn."""
    dropped = []

    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        dropped.append(True)
        await asyncio.Event().wait()

    tasks = {asyncio.create_task(deaf()), asyncio.create_task(asyncio.Event().wait())}
    await asyncio.sleep(0)
    await asyncio.wait_for(ended(tasks), 10)
    assert dropped
    assert all(task.cancelled() for task in tasks)


async def test_nothing_to_end_is_no_fault():
    await ended(set())
