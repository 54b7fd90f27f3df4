"""The other side of sd_notify, for a daemon under test."""

import asyncio
import socket
from pathlib import Path


class Systemd:
    """The other side of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    async def until(self, wanted: str, limit: float = 15.0) -> str:
        """The first datagram, from those not looked at yet, in which `wanted` stands."""
        async with asyncio.timeout(limit):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
                self.heard.append(data.decode())
                if wanted in self.heard[-1]:
                    return self.heard[-1]

    def close(self) -> None:
        self._socket.close()
