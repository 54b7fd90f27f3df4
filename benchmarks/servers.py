"""The two that are compared, as processes of their own, and what they cost: CPU seconds, resident memory."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.commands.embedded_broker import dying_with_parent, free_port

# As Mosquitto here: nothing is left out for a generator that is behind.
UNBOUNDED = '[backpressure]\nsoft = "64 MiB"\nhard = "128 MiB"'
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A process that listens on loopback; its log stays in the benchmark's folder."""

    def __init__(self, name: str, folder: Path, command: Sequence[str], ports: Sequence[int]) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dying_with_parent()
            )
        self.pid = self._process.pid
        end = time.monotonic() + 20
        while not all(_listens(port) for port in ports):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                sys.exit(f"{name} does not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)  # a process has no event for "listening"

    def cpu(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self) -> int:
        """KiB of memory in use."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto(Server):
    """Broker with listeners for MQTT, WebSocket and secure WebSocket; no limit on its queues."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        self.mqtt, self.ws, self.wss = free_port(), free_port(), free_port()
        config = folder / "mosquitto.conf"
        config.write_text(
            f"user root\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n"
            f"listener {self.mqtt} 127.0.0.1\n"
            f"listener {self.ws} 127.0.0.1\nprotocol websockets\n"
            f"listener {self.wss} 127.0.0.1\nprotocol websockets\ncertfile {certificate}\nkeyfile {key}\n"
        )
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            sys.exit("mosquitto is missing: apt-get install mosquitto")
        super().__init__("mosquitto", folder, [program, "-c", str(config)], [self.mqtt, self.ws, self.wss])


class Gateway(Server):
    """`sensor-gateway run`, following a broker on port `mqtt`, with a plain and a secure listener.

    `settings` is more TOML. Gateways of one broker need a `name` each: the broker knows them by it.
    """

    def __init__(
        self,
        folder: Path,
        certificate: Path,
        key: Path,
        mqtt: int,
        command: Sequence[str],
        *,
        protocol: str = "3.1.1",
        topics: str = "sensors/#",
        settings: str = UNBOUNDED,
        name: str = "bench",
    ) -> None:
        self.ws, self.wss = free_port(), free_port()
        config = folder / "gateway.toml"
        config.write_text(
            f"""[gateway]
name = "{name}"
state_dir = "{folder}"
memory_budget = "2 GiB"
drain = "0s"
[[upstream]]
name = "{name}"
urls = ["mqtt://127.0.0.1:{mqtt}"]
protocol = "{protocol}"
topics = [{{ filter = "{topics}" }}]
[[listen]]
port = {self.ws}
[[listen]]
port = {self.wss}
tls = {{ certificate = "{certificate}", key = "{key}" }}
{settings}
[limits]
connections = 5000
connections_per_address = 5000
"""
        )
        super().__init__("gateway", folder, [*command, "run", "--config", str(config)], [self.ws, self.wss])
        end = time.monotonic() + 20
        while not self._ready():
            if time.monotonic() > end:
                self.stop()
                sys.exit(f"the gateway does not reach its broker:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.ws)) as sock:
            sock.sendall(f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{self.ws}\r\n\r\n".encode())
            return sock.recv(64).startswith(b"HTTP/1.1 200")
