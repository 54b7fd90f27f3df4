"""Unmodified clients of every dialect, over WSS, against the real gateway and Mosquitto."""

import asyncio
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nodeclient import NodeClient
from support.nodepackages import MISSING, installed
from support.publisher import Publisher
from websockets.asyncio.client import connect

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with this folder's packages installed."""
    program = shutil.which("node")
    assert program is not None, MISSING
    installed(HERE)
    return program


@pytest.fixture
def client(node, certificate) -> "Iterator[Callable[..., NodeClient]]":
    """A function that starts a driver of this folder; all end with the test."""
    with ExitStack() as stack:
        yield lambda script, **options: stack.enter_context(
            NodeClient(node, HERE / script, certificate.ca, ca=str(certificate.ca), **options)
        )


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    """A broker that queues without bound for the gateway."""
    with Mosquitto(config="max_queued_messages 0\nmax_inflight_messages 0") as broker:
        yield broker


@pytest.fixture
def publisher(broker) -> Iterator[Publisher]:
    with Publisher(broker.port) as publisher:
        yield publisher


# Clients in Node are no match for a burst: those that shall get all of it need room to be behind.
PATIENT = """
[backpressure]
soft = "8 MiB"
hard = "16 MiB"
"""
SLOW = """
[backpressure]
soft = "64 KiB"
hard = "512 KiB"
"""

CONFIG = """
[gateway]
state_dir = "{{folder}}"
drain = "1s"

[auth]
{auth}

[[role]]
name = "viewer"
subscribe = ["#"]
deny = ["secret/#"]
publish = ["commands/#"]

[[upstream]]
name = "site"
urls = ["{broker}"]
topics = [{{ filter = "#", qos = 1 }}]

[[listen]]
address = "127.0.0.1"
port = {{port}}
tls = {{ certificate = "{certificate}", key = "{key}" }}

{more}
"""


@pytest.fixture
def secure_gateway(broker, certificate, gateway) -> "Callable[..., Daemon]":
    """A function that starts the gateway behind the broker with WSS; with `slow` its clients are soon too slow.

    `auth` is what stands in the configuration's [auth].
    """

    def start(*, slow: bool = False, auth: str = 'anonymous = "local"') -> Daemon:
        more = SLOW if slow else PATIENT
        text = CONFIG.format(
            broker=broker.url, certificate=certificate.certificate, key=certificate.key, more=more, auth=auth
        )
        return gateway(text)

    return start


@pytest.fixture
def flood(publisher) -> Callable[[], int]:
    """A function that publishes far more than a blocked client's buffers take, on three topics; how many messages."""

    def run() -> int:
        padding = "x" * 4096
        for number in range(3000):
            publisher.cast(f"flood/{number % 3}", {"number": number, "padding": padding})
        publisher.publish("flood/end", "end")
        return 3001

    return run


@pytest.fixture
def flood_through(flood, certificate) -> "Callable[[Daemon], int]":
    """A function that floods, and returns once the gateway has handed the last on to whoever reads."""

    async def run(daemon: Daemon) -> int:
        context = ssl.create_default_context(cafile=str(certificate.ca))
        url = f"wss://localhost:{daemon.port}/stream?topic=flood/end&replay=none"
        async with connect(url, ssl=context, compression=None, proxy=None) as reader, asyncio.timeout(60):
            assert '"welcome"' in str(await reader.recv())
            total = await asyncio.to_thread(flood)
            while '"flood/end"' not in str(await reader.recv()):
                continue
        return total

    return lambda daemon: asyncio.run(run(daemon))
