"""A raw WebSocket client with a small receive buffer that reads only when told to."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec


class Sleeper:
    """Connected from the start; `query` is that of /stream."""

    def __init__(self, port: int, query: str) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(
            f"GET /stream{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.sock.setblocking(False)

    def read(self, count: int = 1 << 20) -> bytes:
        """What has arrived, at most `count` bytes; empty where nothing has."""
        try:
            return self.sock.recv(count)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Be gone."""
        self.sock.close()


def objects_in(blob: bytes) -> list[dict[str, Any]]:
    """The objects in the whole, unmasked text frames behind the answer to the handshake (RFC 6455, 5.2)."""
    told, at = [], blob.index(b"\r\n\r\n") + 4
    while at + 2 <= len(blob):
        text, size, at = blob[at] & 0x0F == 1, blob[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(blob[at : at + width], "big"), at + width
        if text and at + size <= len(blob):
            told.append(msgspec.json.decode(blob[at : at + size]))
        at += size
    return told


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a state that tells nobody when it comes."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is another task's state
            await asyncio.sleep(0.01)
