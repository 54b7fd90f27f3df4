"""Waits on a new socket for a proxy's header before anything else is done with it (PROXY protocol v2)."""

import asyncio
import socket
from collections.abc import Callable

from gateway.edge.proxy_protocol import HEAD, Source, rest_of, source_in


class Preface:
    """Reads exactly the header, not a byte more: what follows is the client's own, TLS or not.

    `told` is called once: with the source, or with what is wrong; the socket stays open and is the caller's.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        told: Callable[[Source | None, str | None], None],
        deadline: float,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._told = told
        self._deadline = deadline
        self._got = bytearray()
        self._wanted = HEAD
        loop.add_reader(sock.fileno(), self._readable)

    def tick(self, now: float) -> None:
        """Called about once a second: ends the waiting at the deadline (monotonic seconds)."""
        if now >= self._deadline:
            self._end(None, "no PROXY protocol header in time")

    def close(self) -> None:
        """The server stops."""
        self._end(None, "the gateway stops")

    def _readable(self) -> None:
        try:
            data = self._sock.recv(self._wanted - len(self._got))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(None, str(error))
            return
        if not data:
            self._end(None, "the proxy closed without a word")
            return
        self._got += data
        if len(self._got) < self._wanted:
            return
        got = bytes(self._got)
        try:
            if self._wanted == HEAD:
                self._wanted = HEAD + rest_of(got)
                if self._wanted > HEAD:
                    return
            self._end(source_in(got[:HEAD], got[HEAD:]), None)
        except ValueError as error:
            self._end(None, str(error))

    def _end(self, source: Source | None, fault: str | None) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._told(source, fault)
