"""One gateway beside two that share a port: what a delivery costs, and how the kernel divides the viewers.

usage: pair.py [--runs N] [--viewers N] [--count M] [--json FILE]

One and two stand side by side, each behind a Mosquitto of its own and with as many viewers, and get the same messages,
thirty in a row by turns: what else the machine does meets both alike, and neither is woken for every message from a
sleep as long as the other's work, which a pair pays for twice. A message is published when everybody is done with the
one before: a gateway that is behind writes several at once, and would look cheap. The viewers read when all is over, so
that nobody takes the cores from the gateways. The figure is deliveries per CPU second of all the gateways on a port,
and the ratio of the two.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench import SIZE, TOPICS, Bench, machine, publisher
from flood import publish
from servers import UNBOUNDED, Gateway, Mosquitto, free_port
from viewers import MARK

from gateway.operations.control import ask

Figures = dict[str, Any]


HELLO = (
    b"GET /stream?topic=sensors/%23&replay=none HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WELCOME = b'"type":"welcome"'
ROOM = 1 << 20  # bytes: the kernel keeps what a viewer has not read yet, and counts each segment as a page
PATIENCE = 30.0  # seconds
BLOCK = 30  # messages in a row to the one, then to the two: whoever slept begins slowly
PATIENT = '[heartbeat]\ninterval = "1h"'  # who does not read answers no ping
_FORCED = 33  # SO_RCVBUFFORCE of socket(7): past net.core.rmem_max, root's alone


class Viewer:
    """A subscriber that reads when it is told to."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, _FORCED if os.geteuid() == 0 else socket.SO_RCVBUF, ROOM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(HELLO)
        heard = b""
        while WELCOME not in heard:
            heard += self._read()

    def await_one(self) -> None:
        """Return when one more message has come."""
        heard = b""
        while MARK not in heard:
            heard += self._read()

    def count(self, wanted: int) -> int:
        """How many messages came; waits until it is as many as wanted."""
        heard = bytearray()
        while heard.count(MARK) < wanted:
            heard += self._read()
        self.sock.setblocking(False)
        try:
            heard += self._read()
        except BlockingIOError:
            pass  # no more than that
        return heard.count(MARK)

    def _read(self) -> bytes:
        data = self.sock.recv(ROOM)
        if not data:
            sys.exit("a gateway closed a viewer's connection")
        return data


class Shared:
    """So many gateways on one port, and viewers of that port."""

    def __init__(self, bench: Bench, size: int, stack: ExitStack) -> None:
        self.bench = bench
        broker = Mosquitto(bench.folder, bench.certificate, bench.key)
        stack.callback(broker.stop)
        self.port = free_port()
        self.folders = [bench.folder / f"{size}-{number}" for number in range(size)]
        self.members = [self._gateway(folder, broker.mqtt) for folder in self.folders]
        for member in self.members:
            stack.callback(member.stop)
        self._load = stack.enter_context(publisher(broker.mqtt))
        self._viewers: list[Viewer] = []
        self._last: list[Viewer] = []
        self._before = 0.0
        self.split: list[int] = []

    def watch(self, viewers: int, stack: ExitStack) -> None:
        """Let viewers come."""
        for _ in range(viewers):
            self._viewers.append(Viewer(self.port))
            stack.callback(self._viewers[-1].sock.close)
        for member in self.members:
            # Whoever came last is served last.
            self._last.append(Viewer(member.ws))
            stack.callback(self._last[-1].sock.close)

    def begin(self) -> None:
        """From here on what is spent counts."""
        self.split = [int(ask([folder / "control.sock"], {"do": "status"})["connections"]) for folder in self.folders]
        self._before = self._cpu()

    def deliver(self, number: int) -> None:
        """Publish one message; return when every gateway has written it to everybody."""
        self._load.sendall(publish(number, TOPICS, SIZE, False))
        for viewer in self._last:
            viewer.await_one()

    def end(self, count: int) -> Figures:
        """When the gateways are done: what a CPU second brought."""
        spent = self._cpu() - self._before
        deliveries = count * (len(self._viewers) + len(self._last))
        counts = {viewer.count(count) for viewer in self._viewers}
        return {"deliveries_per_cpu_second": deliveries / spent, "complete": counts == {count}, "split": self.split}

    def _cpu(self) -> float:
        return sum(_cpu_seconds(member.pid) for member in self.members)

    def _gateway(self, folder: Path, mqtt: int) -> Gateway:
        folder.mkdir(exist_ok=True)
        settings = f"[[listen]]\nport = {self.port}\nreuse_port = true\n{UNBOUNDED}\n{PATIENT}"
        certificate, key, command = self.bench.certificate, self.bench.key, self.bench.command
        return Gateway(folder, certificate, key, mqtt, command, settings=settings, name=folder.name)


def _cpu_seconds(pid: int) -> float:
    """By the scheduler's own count, in nanoseconds; those of /proc/PID/stat are ticks of 10 ms."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def run(folder: Path, viewers: int, count: int) -> tuple[Figures, Figures]:
    """One gateway and two, message by message."""
    bench = Bench(folder, [sys.executable, "-m", "gateway"])
    with ExitStack() as stack:
        arms = [Shared(bench, size, stack) for size in (1, 2)]
        for arm in arms:
            arm.watch(viewers, stack)
        for arm in arms:
            arm.begin()
        for start in range(0, count, BLOCK):
            for arm in arms:
                for number in range(start, min(start + BLOCK, count)):
                    arm.deliver(number)
        one, two = (arm.end(count) for arm in arms)
    return one, two


def compare(runs: int, viewers: int = 1000, count: int = 300) -> Figures:
    """The medians over the runs in which every viewer got every message, and every run."""
    taken = []
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="pair-") as folder:
            taken.append(run(Path(folder), viewers, count))
        print(f"run {number + 1}: one {taken[-1][0]}, two {taken[-1][1]}", file=sys.stderr, flush=True)
    counted = [each for each in taken if all(half["complete"] for half in each)]
    key = "deliveries_per_cpu_second"
    return {
        "one": median(one[key] for one, _ in counted),
        "two": median(two[key] for _, two in counted),
        "ratio": median(two[key] / one[key] for one, two in counted),
        "smaller_share": min(min(two["split"]) / sum(two["split"]) for _, two in taken),
        "runs": taken,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write every figure of every run there")
    options = parser.parse_args()
    figures = compare(options.runs, options.viewers, options.count)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    print(f"{machine()}; median of {options.runs}\n")
    print("| deliveries per CPU second | one | two on a port | two to one | smaller share of the viewers |")
    print("|---|---|---|---|---|")
    one, two = (f"{figures[who]:,.0f}" for who in ("one", "two"))
    print(f"| {options.viewers:,} viewers | {one} | {two} | {figures['ratio']:.2f} | {figures['smaller_share']:.2f} |")


if __name__ == "__main__":
    main()
