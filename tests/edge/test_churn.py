"""Hundreds of clients that misbehave in every way at once, on every kind of listener: nothing of them is left."""

import asyncio
import os
import random
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.edge import Edge
from support.sleeper import until

from gateway.edge.admission import ServerLimits
from gateway.edge.endpoints import Endpoint
from gateway.edge.tls import TlsFiles
from gateway.hub.outbox import Bounds, Policy

CLIENTS, AT_ONCE = 300, 30
PAYLOAD = b'"%b"' % (b"x" * 500)
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with nothing (RFC 6455, 5.3)."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def stream(token: bytes, *words: bytes, opcode: int) -> bytes:
    """An upgrade, and what is said behind it without waiting."""
    head = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Protocol: %b\r\n%b\r\n" % (token, UPGRADE)
    return head + b"".join(frame(opcode, word) for word in words)


REQUESTS = (
    stream(b"sensor-gateway.v1.json", b'{"type":"subscribe","topics":["#"],"mode":"latest","interval":0.1}', opcode=1),
    stream(b"mqtt", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", b"\x82\x06\x00\x01\x00\x01#\x01", opcode=2),
    stream(
        b"v12.stomp",
        b"CONNECT\naccept-version:1.2\nhost:a\n\n\0",
        b"SUBSCRIBE\nid:1\ndestination:#\nack:client\n\n\0",
        opcode=1,
    ),
    b"GET /stream?topic=%23 HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"\r\n",
    b"GET /stream HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"\r\n",
    b"GET /events?topic=%23 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/topics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
)
PINGS, CLOSE, TEXT = frame(9, b""), frame(8, b""), frame(1, b"hello")


class Rascal:
    """One client, by its seed."""

    def __init__(self, seed: float) -> None:
        self._random = random.Random(seed)

    def visit(self, places: list, context: ssl.SSLContext) -> None:
        """Come, talk nonsense, leave without manners."""
        dice = self._random
        place = dice.choice(places)
        sock = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
        try:
            if dice.random() < 0.3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.settimeout(1.0)
            sock.connect(place)
            if place is places[1] and dice.random() < 0.7:
                sock = context.wrap_socket(sock)
            request = dice.choice(REQUESTS)
            sock.sendall(request[: dice.randrange(len(request))] if dice.random() < 0.2 else request)
            for _ in range(dice.randrange(4)):
                self._talk(sock)
            self._leave(sock)
        except OSError:
            pass  # it was thrown out
        finally:
            sock.close()

    def _talk(self, sock: socket.socket) -> None:
        dice = self._random
        if dice.random() < 0.6:
            try:
                sock.recv(dice.choice([1, 1000, 65536]))
            except TimeoutError:
                pass
        if dice.random() < 0.4:
            sock.sendall(dice.choice([PINGS * dice.randrange(1, 500), CLOSE, TEXT, os.urandom(50)]))
        time.sleep(dice.random() / 10)

    def _leave(self, sock: socket.socket) -> None:
        way = self._random.random()
        if way < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif way < 0.5:
            sock.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
        elif way < 0.6:
            time.sleep(2.5)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("policy", Policy)
async def test_nothing_is_left_of_those_who_came_and_went(policy, certificate, tmp_path):
    faults = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    limits = ServerLimits(connections=5000, per_address=5000, accepts=10_000, handshake=1.0, interval=1.0, timeout=1.0)
    bounds = Bounds(policy, soft=20_000, hard=60_000, patience=0.3)
    anything = ssl.create_default_context(cafile=str(certificate.ca))
    anything.check_hostname = False
    dice = random.Random(policy.value)
    async with Edge(limits=limits, bounds=bounds) as edge:
        edge.server.listeners.stop()
        tls = TlsFiles(certificate.certificate, certificate.key)
        path = str(tmp_path / "socket")
        edge.server.listen([Endpoint("127.0.0.1", 0), Endpoint("127.0.0.1", 0, tls), Endpoint(f"unix:{path}", 0)])
        edge.server.listeners.start()
        plain, secure, _ = edge.server.listeners.endpoints
        places = [("127.0.0.1", plain.port), ("127.0.0.1", secure.port), path]

        async def sensors() -> None:
            while True:
                for number in range(20):
                    edge.publish(f"t/{edge.log.newest % 200 + number}", PAYLOAD)
                await asyncio.sleep(0.01)

        feed = asyncio.create_task(sensors())
        with ThreadPoolExecutor(AT_ONCE) as pool:
            rascals = (Rascal(dice.random()) for _ in range(CLIENTS))
            await asyncio.gather(*(loop.run_in_executor(pool, each.visit, places, anything) for each in rascals))
        await until(lambda: not edge.server.connections)
        feed.cancel()
        assert not edge.server.admission
        assert edge.hub.audiences == 0
        assert edge.server.budget.size == 0
        assert edge.server.budget.kernel_size == 0
        assert not edge.server.counts["fault"]
    assert faults == []
