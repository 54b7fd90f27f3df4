"""The gateway beside Mosquitto's WebSocket listener, on this machine, in one run. `make bench` calls it.

usage: bench.py [--runs N] [--workloads A,B,C,D,E,F,S] [--gateway COMMAND] [--json FILE]

A  burst: 1,000 viewers of 100 topics, messages of 120 bytes, as fast as they come         deliveries/s
B  paced: 1,000 viewers, 100 messages/s                                                   CPU per delivery, latency
C  paced over TLS: 500 viewers, 100 messages/s                                            CPU per delivery, latency
D  1,000 idle viewers over TLS                                                            memory of each
E  one viewer, 100,000 messages as fast as the broker gives them                           messages/s
F  1,000 viewers, each of 100 topics out of 1,000, 500 messages/s (gateway only)          CPU per delivery
S  one viewer, 1,000,000 messages from a stand-in broker that floods from memory (gateway only; MQTT 3.1.1 and 5)

Every figure is the median of the runs; the two take turns. Raw is a loop that sends the same bytes to the same number
of sockets, in F to 100 others of 1,000 each time, and does nothing else. The load generator runs on the same machine:
compare within one table only.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from flood import publish
from servers import Gateway, Mosquitto, Server, free_port

HERE = Path(__file__).parent
TOPICS = 100
SIZE = 120  # bytes of a payload, about
OURS = ("--path", "/stream?topic=sensors/%23&replay=none")
THEIRS = ("--mqtt", "sensors/#")
Figures = dict[str, Any]


class Bench:
    """One folder, one certificate, and the figures of all runs by (workload, who)."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        from gateway.commands.certificates import make_self_signed

        self.folder = folder
        self.command = command
        self.certificate, self.key = make_self_signed(folder, ["localhost", "127.0.0.1"])
        self.figures: dict[tuple[str, str], list[Figures]] = {}

    def run(self, workloads: set[str]) -> None:
        """One run: Mosquitto alone, then the gateway behind a fresh one, then the raw loops."""
        broker = Mosquitto(self.folder, self.certificate, self.key)
        try:
            # A fresh Mosquitto 2.0 can stall when its first 1,000 WebSocket clients come at once.
            for clients in (1, 100):
                self.viewers(broker, broker.mqtt, broker.ws, clients, 1000, 0, *THEIRS)
            self.compare("Mosquitto", broker, broker.mqtt, broker.ws, broker.wss, THEIRS, workloads)
        finally:
            broker.stop()
        broker = Mosquitto(self.folder, self.certificate, self.key)
        try:
            gateway = self.gateway(broker.mqtt)
            try:
                self.compare("gateway", gateway, broker.mqtt, gateway.ws, gateway.wss, OURS, workloads)
            finally:
                gateway.stop()
        finally:
            broker.stop()
        if "S" in workloads:
            for protocol in ("3.1.1", "5"):
                self.stand_in(protocol)
        if "B" in workloads:
            self.raw("B", 1000, 100)
        if "C" in workloads:
            self.raw("C", 500, 100, "--tls", str(self.certificate), str(self.key))
        if "F" in workloads:
            self.raw("F", 1000, 500, "--pick", "100")

    def gateway(self, mqtt: int, protocol: str = "3.1.1") -> Gateway:
        return Gateway(self.folder, self.certificate, self.key, mqtt, self.command, protocol=protocol)

    def compare(
        self, who: str, server: Server, mqtt: int, ws: int, wss: int, how: tuple[str, ...], workloads: set[str]
    ) -> None:
        """Every workload that both can do. D comes first: a used heap would hide part of the cost."""
        if "D" in workloads:
            self.note("D", who, {"each_kib": self.memory(server, wss, how)})
        if "A" in workloads:
            # Enough for some tenths of a second; a peer that is slower by far need not send as many.
            count = 5000 if who == "gateway" else 1000
            self.note("A", who, self.viewers(server, mqtt, ws, 1000, count, 0, *how))
        if "B" in workloads:
            self.note("B", who, self.viewers(server, mqtt, ws, 1000, 500, 100, *how))
        if "C" in workloads:
            self.note("C", who, self.viewers(server, mqtt, wss, 500, 500, 100, "--tls", *how))
        if "E" in workloads:
            self.note("E", who, self.viewers(server, mqtt, ws, 1, 100_000, 0, *how))
        if "F" in workloads and who == "gateway":
            self.note("F", who, self.viewers(server, mqtt, ws, 1000, 2500, 500, "--pick", "100,1000", topics=1000))

    def start_viewers(self, port: int, clients: int, count: int, seconds: float, *how: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "viewers.py"), "--port", str(port), "--clients", str(clients)]
        command += ["--count", str(count), "--seconds", str(seconds), *how]
        viewers = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert viewers.stdout is not None
        if viewers.stdout.readline() != "ready\n":
            assert viewers.stderr is not None
            sys.exit(f"the viewers could not connect: {viewers.stderr.read()[-1000:]}")
        return viewers

    def viewers(
        self,
        server: Server,
        mqtt: int,
        port: int,
        clients: int,
        count: int,
        rate: float,
        *how: str,
        topics: int = TOPICS,
    ) -> Figures:
        """Publish `count` messages at `rate`/s (0: as fast as the broker takes them) to `clients` viewers."""
        viewers = self.start_viewers(port, clients, count, 40, *how)
        time.sleep(0.5)  # the last subscriptions settle
        before = server.cpu()
        publish_all(mqtt, count, rate, topics)
        out, _ = viewers.communicate()
        figures: Figures = json.loads(out)
        figures["complete"] = not figures["short"]
        figures["cpu_us"] = (server.cpu() - before) / max(figures["messages"], 1) * 1e6
        return figures

    def memory(self, server: Server, port: int, how: tuple[str, ...], clients: int = 1000) -> float:
        before = server.resident()
        viewers = self.start_viewers(port, clients, 0, 3, "--tls", *how)
        time.sleep(1)
        each = (server.resident() - before) / clients
        viewers.communicate()
        return each

    def stand_in(self, protocol: str, count: int = 1_000_000) -> None:
        """One viewer behind a broker that costs nothing; it begins 2 s after the gateway's subscription."""
        port = free_port()
        command = [sys.executable, str(HERE / "flood.py"), "--port", str(port), "--count", str(count), "--delay", "2"]
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert broker.stdout is not None
            broker.stdout.readline()  # it listens
            gateway = self.gateway(port, protocol)
            try:
                viewers = self.start_viewers(gateway.ws, 1, count, 40, *OURS)
                before = gateway.cpu()
                figures: Figures = json.loads(viewers.communicate()[0])
                figures["complete"] = figures["least"] >= count
                figures["cpu_us"] = (gateway.cpu() - before) / max(figures["messages"], 1) * 1e6
                self.note(f"S {protocol}", "gateway", figures)
            finally:
                gateway.stop()
        finally:
            broker.kill()
            broker.communicate()

    def raw(self, workload: str, clients: int, rate: int, *how: str) -> None:
        command = [sys.executable, str(HERE / "raw.py"), str(clients), str(rate), "5", *how]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.note(workload, "raw", {"cpu_us": float(out), "complete": True})

    def note(self, workload: str, who: str, figures: Figures) -> None:
        self.figures.setdefault((workload, who), []).append(figures)
        shown = ", ".join(f"{name} {value:,.4g}" for name, value in figures.items() if name in SHOWN)
        left_out = "" if figures.get("complete", True) else "  INCOMPLETE: does not count"
        print(f"  {workload} {who}: {shown}{left_out}", file=sys.stderr, flush=True)

    def median(self, workload: str, who: str, figure: str) -> float | None:
        runs = [each for each in self.figures.get((workload, who), ()) if each.get("complete", True)]
        values = [each[figure] for each in runs if figure in each]
        return median(values) if values else None

    def table(self) -> str:
        """The medians as a table in Markdown."""
        lines = ["| workload | figure | gateway | Mosquitto | raw |", "|---|---|---|---|---|"]
        for workload, figure, unit in ROWS:
            values = [self.median(workload, who, figure) for who in ("gateway", "Mosquitto", "raw")]
            if any(value is not None for value in values):
                cells = " | ".join("–" if value is None else _number(value) for value in values)
                lines.append(f"| {workload} | {unit} | {cells} |")
        return "\n".join(lines)


SHOWN = ("rate", "cpu_us", "p50_ms", "p99_ms", "each_kib", "least", "most")
ROWS = (
    ("A", "rate", "deliveries/s"),
    ("A", "cpu_us", "µs CPU per delivery"),
    ("B", "cpu_us", "µs CPU per delivery"),
    ("B", "p50_ms", "median latency, ms"),
    ("B", "p99_ms", "99th percentile, ms"),
    ("C", "cpu_us", "µs CPU per delivery"),
    ("C", "p50_ms", "median latency, ms"),
    ("C", "p99_ms", "99th percentile, ms"),
    ("D", "each_kib", "KiB per idle WSS viewer"),
    ("E", "rate", "messages/s"),
    ("F", "cpu_us", "µs CPU per delivery"),
    ("S 3.1.1", "rate", "messages/s"),
    ("S 5", "rate", "messages/s"),
)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def publisher(port: int) -> socket.socket:
    """A connection to a broker at MQTT 3.1.1 that may publish."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"\x10\x10\0\x04MQTT\x04\x02\0\0\0\x04load")
    sock.recv(4)
    return sock


def publish_all(port: int, count: int, rate: float, topics: int) -> None:
    """Publish to a broker, and wait until it has taken everything."""
    with publisher(port) as sock:
        start = time.monotonic()
        for first in range(0, count, 1 if rate else 500):
            if rate:
                time.sleep(max(0.0, start + first / rate - time.monotonic()))
            block = range(first, min(first + (1 if rate else 500), count))
            sock.sendall(b"".join(publish(number, topics, SIZE, False) for number in block))
        sock.sendall(b"\xe0\0")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(64):
            pass


def machine() -> str:
    """What the table was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or "mosquitto"
    # It prints its version with its usage, and ends with 3.
    version = subprocess.run([program, "-h"], check=False, capture_output=True, text=True).stdout.splitlines()[0]
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}, {version}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workloads", default="A,B,C,D,E,F,S")
    parser.add_argument("--gateway", default=f"{sys.executable} -m gateway", help="the gateway's command")
    parser.add_argument("--json", type=Path, help="write every figure of every run there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder), options.gateway.split())
        for number in range(options.runs):
            print(f"run {number + 1} of {options.runs}", file=sys.stderr, flush=True)
            bench.run(set(options.workloads.split(",")))
    if options.json:
        options.json.write_text(json.dumps({" ".join(key): runs for key, runs in bench.figures.items()}, indent=1))
    print(f"{machine()}; median of {options.runs}\n\n{bench.table()}")


if __name__ == "__main__":
    main()
