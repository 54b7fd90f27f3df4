"""Runs `support.linkprocess` and reads what it tells."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent


class LinkProcess:
    """A running `support.linkprocess`; `lines` of its output are awaited one by one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, wanted: str, value: object, limit: float = 20) -> dict[str, Any]:
        """The first line from here on where the fact `wanted` is `value`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(limit):
            while line := await self.process.stdout.readline():
                facts: dict[str, Any] = json.loads(line)
                if facts.get(wanted) == value:
                    return facts
        raise AssertionError("the process ended")

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


@asynccontextmanager
async def running(
    settings: dict[str, Any], *arguments: str, inside: Sequence[str] = (), **environment: str
) -> AsyncIterator[LinkProcess]:
    """A link in a process of its own; `inside` is the command that it shall be run by."""
    values = {"client_id": "gateway-under-test", "backoff": {"min": 0.05, "max": 0.2}, **settings}
    process = await asyncio.create_subprocess_exec(
        *(*inside, sys.executable, "-m", "support.linkprocess", json.dumps(values), *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", **environment},
    )
    found = LinkProcess(process)
    try:
        yield found
    finally:
        await found.end()
