"""Many idle viewers over TLS on one gateway: memory of each, CPU of a handshake, pings answered.

usage: python benchmarks/idle.py [--clients 10000] [--seconds 60]

A hard limit of open files below that (ulimit -Hn) makes it fewer. The viewers live in this process, the gateway
in its own. Every viewer answers its pings; one that the gateway gave up would be missing at the end.
"""

import argparse
import json
import os
import resource
import select
import socket
import ssl
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from servers import Server

from gateway.commands.certificates import make_self_signed
from gateway.commands.embedded_broker import free_port

CONFIG = """
[gateway]
memory_budget = "4 GiB"
state_dir = "{folder}"
[[upstream]]
urls = ["mqtt://127.0.0.1:{nobody}"]
[[listen]]
port = {tls}
tls = {{ certificate = "{folder}/certificate.pem", key = "{folder}/key.pem" }}
[[listen]]
port = {plain}
[[role]]
name = "viewer"
rights = ["gateway"]
[limits]
connections = {most}
connections_per_address = {most}
accept_rate = 1000000
"""
PONG = b"\x8a\x80\0\0\0\0"


class Viewer:
    """One connection that answers pings."""

    __slots__ = ("pings", "sock")

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock = context.wrap_socket(raw, server_hostname="localhost")
        self.pings = 0
        self.sock.sendall(
            f"GET /stream?topic=none&replay=none HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        got = b""
        while b'"welcome"' not in got:
            more = self.sock.recv(65536)
            if not more:
                sys.exit(f"a viewer was turned away: {got!r}")
            got += more
        self.sock.setblocking(False)

    def readable(self) -> bool:
        """Read what is there, answer pings; False once the gateway has ended the connection."""
        try:
            while data := self.sock.recv(65536):
                pings = data.count(b"\x89\0")
                self.pings += pings
                if pings:
                    self.sock.sendall(PONG * pings)
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        except OSError:
            return False
        return False


class Crowd:
    """All viewers on one epoll."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._poll = select.epoll()
        self._viewers: dict[int, Viewer] = {}
        self.lost = 0

    def __len__(self) -> int:
        return len(self._viewers)

    def grow(self) -> None:
        viewer = Viewer(self._port, self._context)
        self._viewers[viewer.sock.fileno()] = viewer
        self._poll.register(viewer.sock.fileno(), select.EPOLLIN)

    def attend(self, seconds: float) -> None:
        """Answer whatever comes for so long."""
        end = time.monotonic() + seconds
        while True:
            for number, _ in self._poll.poll(max(0.0, end - time.monotonic())):
                if not self._viewers[number].readable():
                    self._poll.unregister(number)
                    self._viewers.pop(number).sock.close()
                    self.lost += 1
            if time.monotonic() >= end:
                return

    @property
    def pings(self) -> int:
        return sum(viewer.pings for viewer in self._viewers.values())

    def close(self) -> None:
        for viewer in self._viewers.values():
            viewer.sock.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < options.clients + 200:
        options.clients = hard - 200
        print(f"at most {hard} open files here: {options.clients} viewers; raise the limit (ulimit -Hn) for more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="idle-") as name:
        folder = Path(name)
        make_self_signed(folder, ["localhost"])
        tls, plain, nobody = free_port(), free_port(), free_port()
        config = folder / "config.toml"
        most = options.clients + 100
        config.write_text(CONFIG.format(folder=folder, tls=tls, plain=plain, nobody=nobody, most=most))
        command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
        os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
        server = Server("gateway", folder, command, [tls, plain])
        crowd = Crowd(tls, folder / "certificate.pem")
        try:
            crowd.grow()  # what the first one brings in is nobody's share
            before, cpu, began = server.resident(), server.cpu(), time.monotonic()
            while len(crowd) + crowd.lost < options.clients:
                crowd.grow()
                if len(crowd) % 50 == 0:
                    crowd.attend(0.0)
            took, shaken = time.monotonic() - began, server.cpu() - cpu
            crowd.attend(options.seconds)
            idle_cpu = server.cpu() - cpu - shaken
            each = (server.resident() - before) / (options.clients - 1)
            with urlopen(f"http://127.0.0.1:{plain}/api/status", timeout=30) as answer:
                refused = json.load(answer)["connections"]["refused"]
        finally:
            server.stop()
        print(f"{len(crowd):,} viewers held, {crowd.lost} lost, after {took:.0f} s of coming and {options.seconds:g} s")
        print(f"{each:.1f} KiB each; {shaken / (options.clients - 1) * 1000:.2f} ms CPU a handshake, all included")
        print(f"{crowd.pings:,} pings answered, refused or given up: {refused or 'none'}")
        print(f"{idle_cpu / options.seconds * 100:.1f} % of a core while idle")
        crowd.close()
        sys.exit(0 if crowd.lost == 0 and each <= 24 and len(crowd) == options.clients else 1)


if __name__ == "__main__":
    main()
