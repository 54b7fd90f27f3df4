"""The whole gateway for a while: sensors, viewers of all kinds, and a watch over what must not grow.

usage: soak.py SECONDS [--rate R] [--viewers N]

A Mosquitto, a simulated fleet, the gateway, and viewers: most read everything, a tenth never reads, a tenth comes and
goes. A reading viewer checks that offsets rise and that what it got and what `gap` told it cover everything. Each tenth
of the time a line of memory, descriptors and counts is printed. The exit status is 1 where

- a reading viewer saw an offset twice, in disorder, or missing and in no gap,
- memory grew by more than 10 % and 4 MiB from the end of the first third to the end,
- descriptors grew by more than the viewers that come and go explain,
- the gateway died or was not healthy.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import sys
import tempfile
from pathlib import Path

from servers import Gateway, Mosquitto
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from devices.simulator import Fleet
from gateway.commands.certificates import make_self_signed
from gateway.commands.simulate import Simulation

TCP_ESTABLISHED = 1  # of tcp(7)'s tcp_info
#: small bounds, so that all that fills up is full, and who never reads is thrown out, early in a short run
BOUNDED = """[history]
memory = "2 MiB"
[backpressure]
hard = "512 KiB"
patience = "2s"
"""
SETTLE = 2.0  # seconds for the last messages to arrive


class Tally:
    """What all viewers have seen."""

    def __init__(self) -> None:
        self.messages = 0
        self.gaps = 0
        self.closed = 0
        self.visits = 0
        self.faults: list[str] = []


async def reader(url: str, tally: Tally, name: str) -> None:
    """Subscribes to everything, so every offset is either a message or in a gap."""
    async with connect(url, compression=None, proxy=None, max_size=None) as connection:
        await connection.send(json.dumps({"type": "subscribe", "id": 1, "topics": ["#"], "replay": "none"}))
        seen = None
        while True:
            event = json.loads(await connection.recv())
            match event["type"]:
                case "message":
                    if seen is not None and event["offset"] != seen + 1:
                        tally.faults.append(f"{name}: offset {event['offset']} came after {seen}")
                    seen = event["offset"]
                    tally.messages += 1
                case "gap" if seen is not None:
                    tally.gaps += 1
                    if event["from"] > seen + 1:
                        tally.faults.append(f"{name}: gap from {event['from']} came after {seen}")
                    seen = max(seen, event["to"])


async def sleeper(port: int, tally: Tally) -> None:
    """Subscribes and never reads again; comes back when it is thrown out."""
    loop = asyncio.get_running_loop()
    while True:
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(
                sock,
                f"GET /stream?topic=%23 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode(),
            )
            # Who does not read hears of nothing: only the kernel knows that the connection is over, and tells nobody.
            while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        tally.closed += 1


async def visitor(url: str, tally: Tally, rng: random.Random) -> None:
    """Comes, looks for a moment, and goes, politely or not."""
    while True:
        async with connect(url, compression=None, proxy=None, max_size=None) as connection:
            tally.visits += 1
            try:
                async with asyncio.timeout(rng.uniform(0.1, 3)):
                    while True:
                        await connection.recv()
            except (TimeoutError, ConnectionClosed):
                if rng.random() < 0.5:
                    connection.transport.abort()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def soak(gateway: Gateway, seconds: float, viewers: int, tally: Tally) -> None:
    """Run the viewers, print the lines, and add to the faults what grew."""
    rng = random.Random(1)
    url = f"ws://127.0.0.1:{gateway.ws}/stream"
    tasks = [asyncio.create_task(reader(url, tally, f"reader {number}")) for number in range(viewers * 8 // 10)]
    tasks += [asyncio.create_task(sleeper(gateway.ws, tally)) for _ in range(max(1, viewers // 10))]
    visitors = max(1, viewers // 10)
    tasks += [asyncio.create_task(visitor(f"{url}?topic=%23", tally, rng)) for _ in range(visitors)]
    lines: list[tuple[int, int]] = []
    for part in range(10):
        await asyncio.sleep(seconds / 10)
        lines.append((gateway.resident(), descriptors(gateway.pid)))
        print(
            f"{(part + 1) * seconds / 10:7.0f} s  {lines[-1][0] / 1024:6.1f} MiB  {lines[-1][1]:4} descriptors  "
            f"{tally.messages:,} messages  {tally.gaps:,} gaps  {tally.visits:,} visits  {tally.closed:,} thrown out",
            flush=True,
        )
        if not await healthy(gateway.ws):
            tally.faults.append("/healthz did not say 200")
    await asyncio.sleep(SETTLE)
    for task in tasks:
        if task.done() and (error := task.exception()) is not None:
            tally.faults.append(f"a viewer ended: {error!r}")
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    (early, few), (late, many) = lines[3], lines[-1]
    if late > early * 1.1 and late - early > 4096:
        tally.faults.append(f"memory grew from {early} to {late} KiB")
    if many > few + 2 * visitors:
        tally.faults.append(f"descriptors grew from {few} to {many}")
    if not tally.messages:
        tally.faults.append("no reader got a message")


async def healthy(port: int) -> bool:
    stream, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    answer = await stream.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--rate", type=float, default=500, help="messages per second")
    parser.add_argument("--viewers", type=int, default=50)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        certificate, key = make_self_signed(folder, ["localhost"])
        broker = Mosquitto(folder, certificate, key)
        try:
            command = [sys.executable, "-m", "gateway"]
            gateway = Gateway(folder, certificate, key, broker.mqtt, command, topics="#", settings=BOUNDED)
            try:
                with Simulation(Fleet(devices=200, rate=options.rate), f"mqtt://127.0.0.1:{broker.mqtt}"):
                    asyncio.run(soak(gateway, options.seconds, options.viewers, tally))
            finally:
                gateway.stop()
                print(gateway.log.read_text(errors="replace")[-3000:], file=sys.stderr)
        finally:
            broker.stop()
    for fault in tally.faults[:20]:
        print(f"FAULT {fault}")
    sys.exit(1 if tally.faults else 0)


if __name__ == "__main__":
    main()
