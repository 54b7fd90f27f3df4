"""What comes in from the other side: configuration files, brokers."""

import tempfile
from pathlib import Path

from support import mqttpackets as packets

from gateway import config
from gateway.hub.message import Message
from gateway.topics import validate_topic
from gateway.upstream.acknowledgements import Acknowledgements
from gateway.upstream.bufferedsocket import FOREIGN, BufferedSocket, ProtocolBreach
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames

ROOT = Path(__file__).parents[3]


def configuration(data: bytes) -> None:
    """A configuration file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(data)
        try:
            config.load(file, environ={})
        except config.ConfigError:
            pass  # refused: what it is for


class _Chunks:
    """A transport that gives its bytes in two pieces, then ends."""

    def __init__(self, data: bytes) -> None:
        middle = len(data) // 2
        self._chunks = [chunk for chunk in (data[:middle], data[middle:]) if chunk]

    def recv(self, size: int, /) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def send(self, data: bytes, /) -> int:
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None: ...


def broker(data: bytes) -> None:
    """What a broker sends, at both versions, up to the first packet that is paho's or the end."""
    for version_5 in (False, True):
        sock = BufferedSocket(
            _Chunks(data),
            upstream="main",
            version_5=version_5,
            names=TopicNames("main", "", [("#", [])], b""),
            acknowledgements=Acknowledgements(lambda mids: None),
            counters=Counters(),
            payload_limit=1000,
            own=b"",
        )
        taken: list[Message] = []
        try:
            for _ in range(100):
                reason, _ = sock.take(taken, [], 5.0, 512)
                if reason == FOREIGN or not sock.fill():
                    break
        except ProtocolBreach:
            pass  # the link ends here: a verdict like any other
        for message in taken:
            validate_topic(message.topic)
            assert len(message.payload) <= 1000


TARGETS = (configuration, broker)

SEEDS = {
    "configuration": [(ROOT / "config.example.toml").read_bytes()],
    "broker": [
        packets.publish("a/b", b"x" * size, qos=qos, mid=7, properties=properties)
        for size in (0, 5, 200, 1200)
        for qos in (0, 1, 2)
        for properties in (None, b"", b"\x26\x00\x01a\x00\x01b")
    ],
}
