"""Several gateways on one port of a box: who gets whom, what it costs, and what becomes of those of one that stops."""

import asyncio
import importlib
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.edge import receive
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
VIEWERS = 1000
HELLO = (
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
NAMES = ("first", "second")


@contextmanager
def sharing(port: int, drain: str = "1s") -> Iterator[dict[str, Daemon]]:
    """Two gateways on one port, by name."""
    with ExitStack() as stack:
        gateways = {
            name: Daemon(
                f"""[gateway]
name = "{name}"
state_dir = "{{folder}}"
drain = "{drain}"
[[upstream]]
name = "{name}"
urls = ["mqtt://127.0.0.1:1"]
[[listen]]
port = {{port}}
reuse_port = true
[limits]
connections = 2000
connections_per_address = 2000
""",
                port=port,
            )
            for name in NAMES
        }
        for gateway in gateways.values():
            stack.enter_context(gateway)
            # The port answers already where the other one listens.
            asyncio.run(gateway.logged("listening on", 20))
        yield gateways


def serving(port: int) -> str:
    """The name of the gateway that welcomes a new viewer."""
    with socket.create_connection(("127.0.0.1", port), 10) as viewer:
        return name_in(viewer)


def name_in(viewer: socket.socket) -> str:
    """Shake hands; who says welcome."""
    viewer.sendall(HELLO)
    heard = b""
    while b'"gateway":"' not in heard or b"}" not in heard:
        more = viewer.recv(4096)
        assert more, f"closed after {heard!r}"
        heard += more
    return heard.partition(b'"gateway":"')[2].partition(b'"')[0].decode()


def test_the_kernel_divides_the_viewers(free_port: Callable[[], int]) -> None:
    """By a hash of addresses and ports: 40:60 of 1,000 is six standard deviations from the middle."""
    port = free_port()
    with sharing(port), ExitStack() as stack:
        viewers = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(VIEWERS)]
        split = Counter(name_in(viewer) for viewer in viewers)
    assert sum(split.values()) == VIEWERS
    assert all(0.4 * VIEWERS <= split[name] <= 0.6 * VIEWERS for name in NAMES), split


def test_a_gateway_that_stops_leaves_the_port_to_the_others(free_port: Callable[[], int]) -> None:
    """Nobody new comes to it while it says goodbye, and those it had may come back at once."""
    port = free_port()

    async def part(gateways: dict[str, Daemon]) -> None:
        viewers: dict[str, list[ClientConnection]] = {name: [] for name in NAMES}
        while min(len(each) for each in viewers.values()) < 5:
            client = await connect(f"ws://127.0.0.1:{port}/stream", compression=None, proxy=None)
            viewers[(await receive(client, "welcome"))["gateway"]].append(client)
        os.kill(gateways["first"].pid, signal.SIGTERM)
        told = [await receive(viewers["first"][0], "closing")]
        newcomers = Counter([await asyncio.to_thread(serving, port) for _ in range(40)])
        assert newcomers == {"second": 40}
        told += [await receive(client, "closing", 20) for client in viewers["first"][1:]]
        assert all(0.2 <= each["retry_after"] <= 1.0 for each in told)
        for client in viewers["first"]:
            assert await code_of(client) == 1001
        for client in viewers["second"]:
            await client.send(json.dumps({"type": "ping", "id": 1}))
            assert (await receive(client, "pong"))["id"] == 1
            await client.close()

    with sharing(port, drain="3s") as gateways:
        asyncio.run(part(gateways))


async def code_of(client: ClientConnection) -> int | None:
    """Read until the end; the close code."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(400)
def test_two_on_a_port_cost_little_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    figures = importlib.import_module("pair").compare(9, VIEWERS, 300)
    assert figures["ratio"] >= 0.85, figures["runs"]
    assert figures["smaller_share"] >= 0.4
