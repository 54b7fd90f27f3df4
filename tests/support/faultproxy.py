"""A TCP proxy whose network can fail the way radio does: nothing is closed, and nothing gets through."""

import asyncio
import threading
from types import TracebackType
from typing import Self


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes on to `port`. Runs in a thread of its own.

    While `swallowing` bytes vanish both ways and new connections hang; what was swallowed is lost for good, so that a
    connection which was open then stays dead. `prefix` serves everything below a path, as a reverse proxy would.
    """

    def __init__(self, port: int, *, prefix: str = "", block_upgrades: bool = False) -> None:
        self._target = port
        self._prefix = prefix.encode()
        self._block_upgrades = block_upgrades
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._passing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def swallowing(self) -> bool:
        """Whether bytes vanish now."""
        return not self._passing.is_set()

    @swallowing.setter
    def swallowing(self, wanted: bool) -> None:
        self._loop.call_soon_threadsafe(self._passing.clear if wanted else self._passing.set)

    def _run(self) -> None:
        self._passing.set()
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side may go at any time: that is what a proxy is for
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        head = await reader.readuntil(b"\r\n\r\n")
        if self._prefix:
            head = head.replace(b" " + self._prefix + b"/", b" /", 1)
        if self._block_upgrades and b"\r\nupgrade: websocket" in head.lower():
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            beyond_writer.write(head)
            done, pending = await asyncio.wait(
                [
                    asyncio.ensure_future(self._pass_on(reader, beyond_writer)),
                    asyncio.ensure_future(self._pass_on(beyond_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in (*pending, *done):
                task.cancel()
            await asyncio.gather(*pending, *done, return_exceptions=True)
        finally:
            beyond_writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dead = False
        while data := await reader.read(65536):
            dead = dead or self.swallowing
            if not dead:
                writer.write(data)
                await writer.drain()
        if dead:
            await asyncio.Future()  # an end that nobody hears of
        await self._passing.wait()
