"""Reloads under load: nobody is dropped, nothing is missing."""

import asyncio
import base64
import os
import selectors
import socket
import threading
from collections.abc import Callable

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.daemon import Daemon
from support.mosquitto import Mosquitto

from gateway.operations.control import ask

CLIENTS = 1000
RELOADS = 50
RATE = 100
MARK = b'"topic":"load/'
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"  # RFC 6455, 5.5: without a payload
LIMITS = "accept_rate = 100000\nconnections_per_address = 2000\nconnections = 1100\n"
VARIANTS = (
    f'[limits]\n{LIMITS}subscriptions = 50\n[heartbeat]\ninterval = "5s"\n[log]\nlevel = "debug"\n',
    f'[limits]\n{LIMITS}subscriptions = 60\n[origins]\nallow = ["https://a.example"]\n[[role]]\nname = "viewer"\n'
    'deny = ["secret/#"]\n'
    '[history]\nage = "1m"\n[backpressure]\nsoft = "300 KiB"\n',
)


class Viewers(threading.Thread):
    """Many clients in one thread; counts each one's messages without parsing them."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.counts = [0] * CLIENTS
        self.lost = 0
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._tails = [b""] * CLIENTS
        self._sockets = [self._open(port, number) for number in range(CLIENTS)]

    def _open(self, port: int, number: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /stream?topic=load/%23&replay=none HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        assert b" 101 " in answer, answer
        self._selector.register(sock, selectors.EVENT_READ, number)
        return sock

    def run(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.1):
                number = key.data
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    self.lost += 1
                    self._selector.unregister(key.fileobj)
                    continue
                if PING in data:
                    self._sockets[number].sendall(PONG)
                seen = self._tails[number] + data
                self.counts[number] += seen.count(MARK)
                self._tails[number] = seen[-(len(MARK) - 1) :]

    def close(self) -> None:
        self._over.set()
        self.join()
        self._selector.close()
        for sock in self._sockets:
            sock.close()


@pytest.mark.slow
@pytest.mark.timing
async def test_fifty_reloads_under_load(gateway: Callable[[str], Daemon], mosquitto: Mosquitto) -> None:
    upstream = f'[[upstream]]\nname = "main"\nurls = ["{mosquitto.url}"]\n'
    daemon = gateway(upstream + VARIANTS[0])
    await daemon.logged("connected to")
    viewers = await asyncio.to_thread(Viewers, daemon.port)
    viewers.start()
    publisher = mqtt.Client(CallbackAPIVersion.VERSION2)
    publisher.connect("127.0.0.1", mosquitto.port)
    publisher.loop_start()
    published = 0

    async def publish() -> None:
        nonlocal published
        while True:
            publisher.publish(f"load/{published % 100}", b"x" * 80)
            published += 1
            await asyncio.sleep(1 / RATE)

    publishing = asyncio.create_task(publish())
    try:
        for number in range(RELOADS):
            daemon.config = upstream + VARIANTS[(number + 1) % 2]
            daemon.write_config()
            answer = await asyncio.to_thread(ask, [daemon.folder / "control.sock"], {"do": "reload"})
            assert answer == {"restart": []}
            await asyncio.sleep(0.2)
        publishing.cancel()
        async with asyncio.timeout(30):
            while min(viewers.counts) < published and not viewers.lost:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        assert viewers.lost == 0
        assert set(viewers.counts) == {published}
        assert published > 50 * RELOADS * 0.2
    finally:
        publishing.cancel()
        publisher.disconnect()
        publisher.loop_stop()
        await asyncio.to_thread(viewers.close)
