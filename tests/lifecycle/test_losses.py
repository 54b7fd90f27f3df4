"""What passed by upstream is told to who was away, though the gateway was restarted since."""

import asyncio
import json
from typing import Any

from support.daemon import Daemon
from support.follower import Follower, until
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.asyncio.client import connect

CONFIG = """
[gateway]
state_dir = "{folder}/state"
[[upstream]]
name = "main"
urls = ["mqtt://127.0.0.1:%d"]
backoff = {min = "50ms", max = "100ms"}
topics = [{filter = "t/#", qos = 1}]
[history]
disk = "history.db"
commit = "50ms"
[[listen]]
port = {port}
"""


async def told_since(daemon: Daemon, epoch: str, offset: int) -> list[dict[str, Any]]:
    """What a viewer is told that goes on from there, up to the end of its replay."""
    told = []
    async with connect(f"{daemon.url}?topic=t/%23&replay={epoch}:{offset}", proxy=None) as client:
        async for text in client:
            told.append(json.loads(text))
            if told[-1]["type"] == "replayed":
                break
    return told


async def test_who_comes_back_after_a_restart_hears_of_a_loss_before_it() -> None:
    with Mosquitto() as broker, Daemon(CONFIG % broker.port) as daemon:
        await daemon.logged("main: connected")
        viewer = Follower(daemon.url)
        following = asyncio.create_task(viewer.run())
        await until(lambda: viewer.epoch is not None)
        with MqttPublisher(broker.port) as publisher:
            publisher.publish("t/1", "1", qos=1)
        await until(lambda: viewer.numbers == [1])
        [(epoch, offset)] = viewer.names
        assert epoch is not None
        # Without persistence the broker forgets our session, and what came to it meanwhile.
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await until(lambda: daemon.log.count("main: connected") == 2)
        with MqttPublisher(broker.port) as publisher:
            publisher.publish("t/1", "2", qos=1)
        await until(lambda: viewer.numbers == [1, 2])
        await until(lambda: (daemon.folder / "state/losses").exists())
        following.cancel()
        await asyncio.wait({following})
        await asyncio.to_thread(daemon.stop)
        await asyncio.to_thread(daemon.start)
        await until(lambda: daemon.log.count("main: connected") == 3)
        told = await told_since(daemon, epoch, offset)
        after = await told_since(daemon, epoch, viewer.names[-1][1])
    assert [each.get("reason") or each.get("data") for each in told if each["type"] in ("gap", "message")] == [
        "upstream",
        2,
    ]
    # Its session was kept over our restart: behind the loss nothing is missing.
    assert [each["type"] for each in after if each["type"] in ("gap", "message")] == []
