"""An echo session on the real connection and server code, for the Autobahn fuzzing client.

usage: echo.py PORT TLS_PORT CERTIFICATE KEY

The limits of a gateway are opened as far as the suite goes (messages of 16 MiB, 64 KiB fragments of them, frames by
thousands): they are ours, and tests/edge/test_limits.py holds them; what is tried here is the protocol.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from support.edge import Edge

from gateway.edge.admission import ServerLimits
from gateway.edge.dialects import framing
from gateway.edge.dialects.dialect import Shared
from gateway.edge.endpoints import Endpoint
from gateway.edge.flood import Flood
from gateway.edge.room import SessionLimits
from gateway.edge.tls import TlsFiles
from gateway.hub.outbox import Bounds

SIZE = 16 * 1024 * 1024
MUCH = 1e12


class Echo(Shared):
    """Says what it hears, and nothing else."""

    name = "echo"

    def commands(self, data: bytes, *, text: bool) -> list[Any]:
        return [framing.text(data) if text else framing.binary(data)]

    def event(self, event: object) -> bytes:
        return b""

    def variant(self, table: object) -> Any:
        raise NotImplementedError  # nobody subscribes to an echo


async def main(port: int, tls_port: int, certificate: Path, key: Path) -> None:
    echo = Echo()
    async with Edge(
        limits=ServerLimits(message_size=SIZE, per_address=10_000, accepts=100_000, interval=3600.0),
        session=SessionLimits(commands_per_second=MUCH, message_size=SIZE),
        bounds=Bounds(soft=SIZE * 4, hard=SIZE * 8),
        flood=Flood(frames=MUCH, frames_burst=MUCH, bytes=MUCH, bytes_burst=MUCH),
        dialects={"": lambda: echo},
    ) as edge:
        edge.server.listeners.stop()
        tls = TlsFiles(certificate, key)
        addresses = edge.server.listen([Endpoint("127.0.0.1", port), Endpoint("127.0.0.1", tls_port, tls)])
        edge.server.listeners.start()
        print("ready", *addresses, time.strftime("%H:%M:%S"), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])))
