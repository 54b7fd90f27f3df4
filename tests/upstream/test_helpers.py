import asyncio

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.helpers import Helpers


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (UpstreamError("no SUBACK"), "no SUBACK"),
        (RuntimeError("a mistake"), "a fault in the gateway: see the log"),
    ],
)
async def test_a_failure_ends_the_connection(failure: Exception, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """A fault was told to nobody, and the connection stood without what the helper was to do."""
    dropped = asyncio.Queue[str]()
    helpers = Helpers(asyncio.get_running_loop(), "main", dropped.put_nowait)

    async def fail() -> None:
        raise failure

    helpers.begin(fail())

    assert await asyncio.wait_for(dropped.get(), 5) == reason
    assert ("a mistake" in caplog.text) == isinstance(failure, RuntimeError)


async def test_they_end_with_the_connection() -> None:
    ended = asyncio.Event()
    helpers = Helpers(asyncio.get_running_loop(), "main", lambda reason: None)

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    helpers.begin(wait())
    await asyncio.sleep(0)
    helpers.end()

    await asyncio.wait_for(ended.wait(), 5)
