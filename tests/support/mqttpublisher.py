"""A small blocking MQTT 3.1.1 client that publishes, for tests that need messages from outside."""

import socket
from itertools import count
from types import TracebackType
from typing import Self

from support import mqttpackets as packets

_NUMBERS = count(1)


class MqttPublisher:
    """Publishes to a broker on 127.0.0.1. A context manager. Raises ConnectionError where the broker closes."""

    def __init__(self, port: int, *, username: str = "", password: str = "", client_id: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._mid = 0
        name = client_id or f"publisher-{next(_NUMBERS)}"
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(packets.connect(name, username=username, password=password))
            assert self._read(4) == b"\x20\x02\x00\x00", "the broker refused the test's publisher"
        except BaseException:
            self._socket.close()
            raise

    def publish(self, topic: str, payload: bytes | str = b"", *, qos: int = 0, retain: bool = False) -> None:
        """Publish; at QoS 1 returns when the broker has it."""
        data = payload.encode() if isinstance(payload, str) else payload
        self._mid = self._mid % 65535 + 1
        self._socket.sendall(packets.publish(topic, data, qos=qos, mid=self._mid, retain=retain))
        if qos == 1:
            assert self._read(4) == b"\x40\x02" + self._mid.to_bytes(2, "big")

    def send(self, data: bytes) -> None:
        """Send packets that were made before."""
        self._socket.sendall(data)

    def settle(self) -> None:
        """Return when the broker has read all that was sent."""
        self._socket.sendall(b"\xc0\x00")
        assert self._read(2) == b"\xd0\x00"

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the broker closed the test's publisher")
            data += piece
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.settle()
        self.close()
