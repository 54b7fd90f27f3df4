"""Many gateways over one JetStream log, as processes, and viewers at each."""

import asyncio
import json
import urllib.error
import urllib.request
from contextlib import ExitStack

from support.daemon import Daemon
from support.follower import Follower, until
from support.mosquitto import Mosquitto
from support.nats import Nats


class House:
    """A NATS server, a Mosquitto, and gateways between them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.nats = stack.enter_context(Nats())
        self.broker = stack.enter_context(Mosquitto(config="max_queued_messages 0"))

    def gateway(self, name: str, *, upstream: str = "", stream: str = "") -> Daemon:
        """A gateway that listens."""
        return self._stack.enter_context(Daemon(self.config(name, upstream=upstream, stream=stream)))

    def config(self, name: str, *, upstream: str = "", stream: str = "") -> str:
        upstream = upstream or f'urls = "{self.broker.url}"\ntopics = [{{ filter = "t/#", qos = 1 }}]'
        return f"""[gateway]
name = "{name}"
state_dir = "{{folder}}"
drain = "0s"
[history]
log = "jetstream"
[history.jetstream]
urls = "{self.nats.nats_url}"
replicas = 1
max_bytes = "64 MiB"
{stream}
[backpressure]
soft = "16 MiB"
hard = "32 MiB"
[[upstream]]
{upstream}
[[listen]]
port = {{port}}
metrics = true
"""


def get(gateway: Daemon, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def offset(gateway: Daemon) -> int:
    return int(json.loads(get(gateway, "/api/topics")[1])["offset"])


def follows(gateway: Daemon) -> bool:
    """Whether the gateway holds the broker's session."""
    life = gateway.log.split("listening on http")[-1]
    lines = [line for line in life.splitlines() if "following" in line and "connected to" in line]
    return bool(lines) and "following nothing" not in lines[-1]


def ready(gateway: Daemon) -> bool:
    """Whether it shows what the log holds, and its link stands (and is not that of an earlier life)."""
    lives = gateway.log.split("listening on http")
    return "connected to" in lives[-1] and get(gateway, "/readyz")[0] == 200


def metric(gateway: Daemon, name: str) -> float:
    [line] = [line for line in get(gateway, "/metrics")[1].splitlines() if line.startswith(f"sensor_gateway_{name}")]
    return float(line.rpartition(" ")[2])


async def holder(*gateways: Daemon) -> Daemon:
    """The one that follows the broker."""
    await until(lambda: any(follows(gateway) for gateway in gateways))
    [found] = [gateway for gateway in gateways if follows(gateway)]
    return found


class Viewers:
    """A follower at each gateway."""

    def __init__(self, *gateways: Daemon) -> None:
        self.all = [Follower(gateway.url) for gateway in gateways]
        self._tasks = [asyncio.create_task(viewer.run()) for viewer in self.all]

    async def welcomed(self) -> None:
        await until(lambda: all(viewer.offset is not None for viewer in self.all))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel it, and wait for what it closes."""
    task.cancel()
    await asyncio.wait({task})


async def more(viewer: Follower, count: int) -> None:
    """Wait until the viewer has so many more."""
    before = len(viewer.numbers)
    await until(lambda: len(viewer.numbers) >= before + count)
