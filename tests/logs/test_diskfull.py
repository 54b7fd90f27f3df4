"""A disk that fills while the gateway runs: a real, small file system."""

import asyncio
import os
import subprocess
from urllib.request import urlopen

import pytest
from support.daemon import Daemon
from support.follower import Follower, Load, until
from support.mosquitto import Mosquitto

CONFIG = """
[gateway]
state_dir = "{folder}/state"
drain = "1s"
[[upstream]]
name = "main"
urls = ["mqtt://127.0.0.1:%d"]
topics = [{filter = "t/#", qos = 1}]
[history]
disk = "%s/history.db"
disk_limit = "4 MiB"
commit = "50ms"
durable = %s
[[listen]]
port = {port}
metrics = true
"""


def ask(daemon, path):
    url = f"http://127.0.0.1:{daemon.port}{path}"
    with urlopen(url, timeout=5) as answer:
        return answer.status, answer.read().decode()


@pytest.fixture
def small_disk(tmp_path):
    """Eight megabytes of file system."""
    if os.geteuid() != 0:
        pytest.fail("mounting a file system needs root: make test-all says so")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("durable", ["false", "true"])
async def test_a_full_disk_leaves_the_stream_unharmed_and_history_heals(small_disk, durable):
    with Mosquitto(config="max_queued_messages 0") as broker:
        with Daemon(CONFIG % (broker.port, small_disk, durable)) as daemon:
            follower = Follower(daemon.url)
            following = asyncio.create_task(follower.run())
            await until(lambda: follower.epoch is not None)
            await until(lambda: "main: connected" in daemon.log)
            load = Load(broker.port, padding=200)
            load.start()
            try:
                await until(lambda: len(follower.numbers) > 300)
                ballast = small_disk / "ballast"
                with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 4096)
                await until(lambda: "nothing is stored on disk for now" in daemon.log)
                assert (await asyncio.to_thread(ask, daemon, "/readyz"))[0] == 200
                figures = (await asyncio.to_thread(ask, daemon, "/metrics"))[1]
                assert "sensor_gateway_history_degraded 1.0" in figures
                before = len(follower.numbers)
                await until(lambda: len(follower.numbers) > before + 1000)
                ballast.unlink()
                await until(lambda: "stored on disk again" in daemon.log)
                before = len(follower.numbers)
                await until(lambda: len(follower.numbers) > before + 300)
            finally:
                await asyncio.to_thread(load.end)
            await until(lambda: len(follower.numbers) >= load.sent)
            assert follower.numbers == list(range(load.sent))
            assert follower.gaps == []
            # What was published meanwhile is in the history as well, also of the next run.
            await asyncio.to_thread(daemon.stop)
            await asyncio.to_thread(daemon.start)
            late = Follower(daemon.url)
            late.epoch, late.offset = follower.epoch, 0
            reading = asyncio.create_task(late.run())
            await until(lambda: len(late.numbers) >= load.sent)
            assert late.numbers == list(range(load.sent))
            for task in (following, reading):
                task.cancel()
            await asyncio.wait({following, reading})
