"""Cost of taking PUBLISH packets in, by itself: parsing and Message creation with a publisher that throws away.

    python benchmarks/ingest.py [--count 1000000]

Two figures per MQTT version: `take` alone on a buffer in memory, and a whole link (paho, loop, socket) against
`flood.py`'s stand-in broker in a process of its own.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flood import flood

from gateway.config import Upstream
from gateway.hub.message import Message
from gateway.hub.ports import UpstreamState
from gateway.upstream.acknowledgements import Acknowledgements
from gateway.upstream.bufferedsocket import BufferedSocket
from gateway.upstream.counters import Counters
from gateway.upstream.intake import TURN
from gateway.upstream.link import Link
from gateway.upstream.names import TopicNames


class Memory:
    """A transport that always has the same packets."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int, /) -> bytes:
        return self._data

    def send(self, data: bytes, /) -> int:
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None: ...


class Sink:
    """Publisher and listener that count."""

    busy = False

    def __init__(self, count: int) -> None:
        self.count = 0
        self.first = 0.0
        self.cpu = 0.0
        self.until = count
        self.done = asyncio.Event()

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        if not self.count:
            self.first, self.cpu = time.perf_counter(), time.process_time()
        self.count += len(messages)
        if self.count >= self.until:
            self.done.set()

    def upstream_changed(self, state: UpstreamState) -> None: ...

    def upstream_gap(self, name: str) -> None: ...


def take_alone(count: int, version_5: bool) -> float:
    """Microseconds a packet of `BufferedSocket.take`."""
    data = flood(2000, 100, 120, version_5)
    sock = BufferedSocket(
        Memory(data),
        upstream="main",
        version_5=version_5,
        names=TopicNames("main"),
        acknowledgements=Acknowledgements(lambda mids: None),
        counters=Counters(),
        payload_limit=256 * 1024,
    )
    taken = 0
    begin = time.perf_counter()
    while taken < count:
        sock.fill()
        while True:
            messages: list[Message] = []
            reason, _ = sock.take(messages, [], 1.0, TURN)
            taken += len(messages)
            if reason != 2:
                break
    return (time.perf_counter() - begin) / taken * 1e6


def whole_link(count: int, protocol: str) -> tuple[float, float]:
    """Messages per second and CPU microseconds a message, from the first message to the last."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("flood.py")),
        "--port",
        "0",
        "--count",
        str(count),
        "--once",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        port = broker.stdout.readline().rpartition(":")[2].strip()
        return asyncio.run(receive(f"mqtt://127.0.0.1:{port}", count, protocol))


async def receive(url: str, count: int, protocol: str) -> tuple[float, float]:
    sink = Sink(count)
    settings = Upstream(urls=(url,), client_id="ingest", protocol=protocol)  # type: ignore[arg-type]
    link = Link(settings, publisher=sink, listener=sink, loop=asyncio.get_running_loop())
    link.start()
    async with asyncio.timeout(120):
        await sink.done.wait()
    elapsed, cpu = time.perf_counter() - sink.first, time.process_time() - sink.cpu
    await link.stop()
    return count / elapsed, cpu / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    arguments = parser.parse_args()
    for protocol, version_5 in (("3.1.1", False), ("5", True)):
        alone = take_alone(arguments.count, version_5)
        rate, cpu = whole_link(arguments.count, protocol)
        print(f"MQTT {protocol}: take {alone:.2f} µs a packet; link {rate:,.0f} messages/s, {cpu:.2f} µs CPU a message")


if __name__ == "__main__":
    main()
