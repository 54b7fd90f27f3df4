"""The real daemon on a disk that does not answer, with a real broker: viewers notice nothing but the ends of epochs."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from urllib.request import urlopen

import pytest
from support.daemon import Daemon
from support.follower import Follower, Load, until
from support.mosquitto import Mosquitto

pytestmark = pytest.mark.slow

CONFIG = """
[gateway]
state_dir = "{folder}/state"
drain = "1s"
[[upstream]]
name = "main"
urls = ["mqtt://127.0.0.1:%d"]
client_id = "gateway-under-test"
backoff = {min = "100ms", max = "200ms"}
topics = [{filter = "t/#", qos = 1}]
[history]
disk = "history.db"
commit = "50ms"
durable = %s
[[listen]]
port = {port}
metrics = true
"""


class Hanging(Daemon):
    """A daemon whose disk hangs for as long as its folder has a file `hang`."""

    def command(self) -> Sequence[str]:
        _, _, module, *rest = super().command()
        assert module == "gateway"
        return [sys.executable, "-m", "support.hangingdisk", str(self.folder / "hang"), *rest]

    def hang(self) -> None:
        (self.folder / "hang").touch()

    def answer(self) -> None:
        (self.folder / "hang").unlink()


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["tests", *sys.path]))


def ask(daemon: Daemon, path: str) -> tuple[int, str]:
    with urlopen(f"http://127.0.0.1:{daemon.port}{path}", timeout=5) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("durable", ["false", "true"])
async def test_the_stream_goes_on_while_the_disk_hangs_and_no_name_is_ever_given_twice(durable: str) -> None:
    with Mosquitto(config="max_queued_messages 0") as broker, Hanging(CONFIG % (broker.port, durable)) as daemon:
        viewer = Follower(daemon.url)
        following = asyncio.create_task(viewer.run())
        await until(lambda: viewer.epoch is not None)
        await daemon.logged("main: connected")
        load = Load(broker.port)
        load.start()
        try:
            await until(lambda: len(viewer.numbers) > 300)
            first = viewer.epoch
            daemon.hang()
            # Far more than were reserved, and all while it hangs.
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 2500)
            assert viewer.epoch != first
            assert (await asyncio.to_thread(ask, daemon, "/readyz"))[0] == 200
            assert "sensor_gateway_history_degraded 1.0" in (await asyncio.to_thread(ask, daemon, "/metrics"))[1]
            daemon.answer()
            await daemon.logged("stored on disk again", 15)
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 300)
            # Killed while it hangs once more: what lies on the disk is older than what the viewer has.
            daemon.hang()
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 2500)
            await asyncio.to_thread(daemon.kill)
            # Whoever came back because an epoch ended went on without a gap, and has every message once.
            assert viewer.gaps == []
            assert viewer.numbers == list(range(len(viewer.numbers)))
            daemon.answer()
            await asyncio.to_thread(daemon.start)
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 300)
        finally:
            await asyncio.to_thread(load.end)
        await until(lambda: viewer.numbers[-1] == load.sent - 1)
        following.cancel()
        await asyncio.wait({following})
    meant: dict[tuple[str | None, int], int] = {}
    for name, number in zip(viewer.names, viewer.numbers, strict=True):
        assert meant.setdefault(name, number) == number  # a snapshot tells some a second time
    # The kill is told, and that nobody knows how many of an epoch that was this run's alone are gone with it.
    assert [(gap["reason"], gap["count"]) for gap in viewer.gaps] == [("restart", None)]


async def test_sigterm_ends_it_in_time_while_the_disk_hangs(mosquitto: Mosquitto) -> None:
    with Hanging(CONFIG % (mosquitto.port, "true")) as daemon:
        await daemon.logged("main: connected")
        load = Load(mosquitto.port)
        load.start()
        try:
            daemon.hang()
            await daemon.logged("nothing is stored on disk for now", 10)
            begin = time.monotonic()
            os.kill(daemon.pid, signal.SIGTERM)
            assert await asyncio.to_thread(daemon.wait, 10) == 0
            assert time.monotonic() - begin < 1.0 + 2.0
        finally:
            await asyncio.to_thread(load.end)
        assert "the disk did not answer within" in daemon.log


async def test_a_start_while_the_disk_hangs_serves_what_comes_and_stores_it_once_it_answers() -> None:
    with Mosquitto(config="max_queued_messages 0") as broker, Hanging(CONFIG % (broker.port, "true")) as daemon:
        await daemon.logged("main: connected")
        await asyncio.to_thread(daemon.stop)
        daemon.hang()
        await asyncio.to_thread(daemon.start)
        viewer = Follower(daemon.url)
        following = asyncio.create_task(viewer.run())
        await until(lambda: viewer.epoch is not None)
        first = viewer.epoch
        load = Load(broker.port)
        load.start()
        try:
            await until(lambda: len(viewer.numbers) > 300)
            assert "this run begins with an epoch of its own" in daemon.log
            daemon.answer()
            await daemon.logged("stored on disk again", 15)
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 300)
            await asyncio.to_thread(daemon.stop)
            await asyncio.to_thread(daemon.start)
            before = len(viewer.numbers)
            await until(lambda: len(viewer.numbers) > before + 300)
        finally:
            await asyncio.to_thread(load.end)
        await until(lambda: viewer.numbers[-1] == load.sent - 1)
        following.cancel()
        await asyncio.wait({following})
    # Over the restart it went on as over any other.
    assert viewer.epoch == first
    assert viewer.gaps == []
    assert viewer.numbers == list(range(load.sent))
