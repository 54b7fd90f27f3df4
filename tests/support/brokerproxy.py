"""A TCP proxy that makes a network worse: latency, jitter, stalls, loss, limits, silence, resets, corruption.

netem is not in every kernel. Loss on a TCP link shows as a pause until the retransmission, so that is what it is here.
All settings may be changed while connections stand.
"""

import asyncio
import random
import socket
import struct
from types import TracebackType
from typing import Self

CHUNK = 64 * 1024


class BrokerProxy:
    """Listens on a free port of 127.0.0.1 and passes on to `target`, a port there. An async context manager."""

    def __init__(self, target: int, *, seed: int = 1) -> None:
        self.target = target
        self.latency = 0.0  # seconds, one way
        self.jitter = 0.0  # up to so many seconds more
        self.loss = 0.0  # share of chunks that arrive only after `retransmission`
        self.retransmission = 0.2
        self.bandwidth = 0.0  # bytes a second each way; 0: no limit
        self.swallow = False  # half-open: bytes are taken and never arrive, either way
        self.refuse = False  # new connections are reset
        self.corrupt = 0  # every so many bytes towards the client one is changed; 0: never
        self.connections = 0
        self._random = random.Random(seed)
        self._open = asyncio.Event()
        self._open.set()
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._passed = 0

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def stall(self) -> None:
        """Read nothing more: the senders' buffers fill."""
        self._open.clear()

    def resume(self) -> None:
        """End a stall."""
        self._open.set()

    def reset(self) -> None:
        """RST on every connection, to both sides."""
        for pair in self._pairs:
            for writer in pair:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        self._pairs.clear()

    def half_close(self) -> None:
        """FIN towards the client on every connection; what the client sends still arrives."""
        for client, _ in self._pairs:
            client.write_eof()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if self.refuse:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            pair = (writer, back)
            self._pairs.append(pair)
            try:
                await asyncio.gather(self._pass(reader, back, False), self._pass(there, writer, True))
            finally:
                if pair in self._pairs:
                    self._pairs.remove(pair)
                back.close()
        except (OSError, asyncio.CancelledError):
            pass  # either side has gone, or the test ends: asyncio would report the cancellation as an error
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_client: bool) -> None:
        while data := await reader.read(CHUNK):
            await self._open.wait()
            if self.latency or self.jitter:
                await asyncio.sleep(self.latency + self._random.uniform(0, self.jitter))
            if self.loss and self._random.random() < self.loss:
                await asyncio.sleep(self.retransmission)
            if self.bandwidth:
                await asyncio.sleep(len(data) / self.bandwidth)
            if self.swallow:
                continue
            writer.write(self._damage(data) if to_client else data)
            await writer.drain()
        if not self.swallow and writer.can_write_eof():
            writer.write_eof()

    def _damage(self, data: bytes) -> bytes:
        if not self.corrupt:
            return data
        damaged = bytearray(data)
        for position in range(len(damaged)):
            self._passed += 1
            if self._passed % self.corrupt == 0:
                damaged[position] ^= 1 << self._random.randrange(8)
        return bytes(damaged)
