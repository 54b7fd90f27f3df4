"""Restarts behind a socket that stays open: how long one viewer is without its stream, and a thousand together."""

import asyncio
import base64
import heapq
import json
import re
import selectors
import signal
import socket
import ssl
import statistics
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.socketunit import start_with
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RESTARTS = 10
CROWD_RESTARTS = 3
MEDIAN = 1.0  # seconds
VIEWERS = 1000
ALL_BACK = 5.0  # seconds
_GOODBYE = re.compile(rb'"type":"closing"[^}]*"retry_after":([0-9.]+)[^}]*}\x88.(..)', re.DOTALL)
_CLOSE = b"\x88\x80\0\0\0\0"  # RFC 6455, 5.5.1, with a mask of zeros
UPSTREAM = '[[upstream]]\nurls = ["mqtt://127.0.0.1:1"]\n'


@pytest.mark.slow
@pytest.mark.timing
async def test_the_gap_of_a_viewer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/stream"
        config = tmp_path / "config.toml"
        config.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[[listen]]\nport = 8443\n{UPSTREAM}')
        process = start_with(listener, config, "8443")
        gaps, closes = [], []
        try:
            client = await welcomed(url)
            for _ in range(RESTARTS):
                process.send_signal(signal.SIGTERM)
                ended = asyncio.create_task(asyncio.to_thread(process.wait, 20))
                closes.append(await closed(client))
                begun = time.monotonic()
                coming = asyncio.create_task(welcomed(url))
                assert await ended == 0
                process = start_with(listener, config, "8443")
                client = await coming
                gaps.append(time.monotonic() - begun)
            await client.close()
        finally:
            end(process)
    assert closes == [1012] * RESTARTS
    assert statistics.median(gaps) < MEDIAN, gaps


class Crowd:
    """Viewers by the thousand on one selector: each comes, reads until its end, and comes again when it was told to."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.closes: Counter[int] = Counter()
        self.present = 0
        self._port = port
        self._context = context
        self._selector = selectors.DefaultSelector()
        self._due: list[float] = []
        self._key = base64.b64encode(bytes(16)).decode()

    def come(self, seconds: float) -> float:
        """Serve all until every viewer has had its welcome; how long that took. Raises TimeoutError."""
        begun = time.monotonic()
        while self.present < VIEWERS:
            now = time.monotonic()
            if now - begun > seconds:
                raise TimeoutError(f"{self.present} of {VIEWERS} are here after {seconds:g} s")
            while self._due and self._due[0] <= now:
                heapq.heappop(self._due)
                self._open()
            for key, events in self._selector.select(0.01):
                key.data(events)
        return time.monotonic() - begun

    def start(self) -> None:
        """Let all viewers come for the first time."""
        self._due = [time.monotonic()] * VIEWERS

    def leave(self) -> None:
        """Serve all until the gateway has said goodbye to every viewer."""
        while self.present:
            for key, events in self._selector.select(0.1):
                key.data(events)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _open(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self._port), 10)
        sock.setblocking(False)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False)
        seen, asked, welcome = b"", False, False

        def ready(events: int) -> None:
            nonlocal seen, asked, welcome
            try:
                if not asked:
                    if isinstance(sock, ssl.SSLSocket):
                        sock.do_handshake()
                    self._ask(sock)
                    asked = True
                while data := sock.recv(65536):
                    seen += data
            except (BlockingIOError, ssl.SSLWantReadError):
                data = b"more"
            if not welcome and b'"type":"welcome"' in seen:
                welcome = True
                self.present += 1
            goodbye = _GOODBYE.search(seen)
            if goodbye is not None:
                sock.send(_CLOSE)
                self._ended(sock, goodbye, welcome)
            else:
                assert data, seen

        self._selector.register(sock, selectors.EVENT_READ, ready)
        ready(selectors.EVENT_WRITE)  # we speak first

    def _ask(self, sock: socket.socket) -> None:
        sock.send(
            f"GET /stream?topic=a/%23 HTTP/1.1\r\nHost: localhost:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {self._key}\r\n\r\n".encode()
        )

    def _ended(self, sock: socket.socket, goodbye: "re.Match[bytes]", welcome: bool) -> None:
        self.present -= welcome
        self._selector.unregister(sock)
        sock.close()
        self.closes[int.from_bytes(goodbye[2], "big")] += 1
        heapq.heappush(self._due, time.monotonic() + float(goodbye[1]))


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_thousand_viewers_are_all_back_within_five_seconds(tmp_path: Path, certificate: Any, secure: bool) -> None:
    tls = f'tls = {{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}\n' if secure else ""
    context = ssl.create_default_context(cafile=str(certificate.ca)) if secure else None
    took = []
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        config = tmp_path / "config.toml"
        config.write_text(
            f'[gateway]\nstate_dir = "{tmp_path}"\n[[listen]]\nport = 8443\n{tls}{UPSTREAM}'
            "[limits]\nconnections = 1100\nconnections_per_address = 1100\naccept_rate = 10000\n"
        )
        process = start_with(listener, config, "8443")
        crowd = Crowd(listener.getsockname()[1], context)
        try:
            crowd.start()
            crowd.come(60.0)
            for _ in range(CROWD_RESTARTS):
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                crowd.leave()
                assert process.wait(20) == 0
                process = start_with(listener, config, "8443")
                crowd.come(60.0)
                took.append(time.monotonic() - begun)
        finally:
            crowd.close()
            end(process)
    assert crowd.closes == {1012: VIEWERS * CROWD_RESTARTS}
    assert statistics.median(took) < ALL_BACK, took


async def welcomed(url: str) -> ClientConnection:
    """A client that has its first word: it waits in the socket's queue while nobody runs."""
    client = await connect(url, compression=None, proxy=None, open_timeout=20)
    assert json.loads(await client.recv())["type"] == "welcome"
    return client


async def closed(client: ClientConnection) -> int | None:
    """Read until the end; its code."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
