"""Tries the private parts of paho that the client relies on, without a network."""

import paho.mqtt
from paho.mqtt.enums import MessageState

from gateway.errors import UpstreamError
from gateway.upstream.acknowledgements import Acknowledgements
from gateway.upstream.bufferedsocket import FOREIGN, BufferedSocket
from gateway.upstream.counters import Counters
from gateway.upstream.handed import Paho, make_paho
from gateway.upstream.names import TopicNames

_CONNACK = b"\x20\x02\x00\x00"
_PUBACK = b"\x40\x02\x00\x01"


class _Stage:
    """A transport that answers CONNECT and keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.answers = [_CONNACK]

    def recv(self, size: int, /) -> bytes:
        return self.answers.pop()

    def send(self, data: bytes, /) -> int:
        self.sent += data
        return len(data)

    def close(self) -> None:
        """Nothing to close."""

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None:
        """Never blocks."""


def verify_paho() -> None:
    """Connect on a stage. Raises UpstreamError where this version of paho does not do what the client relies on."""
    stage = _Stage()
    paho_client = make_paho("verify", version_5=False, clean=True)
    sock = BufferedSocket(
        stage,
        upstream="verify",
        version_5=False,
        names=TopicNames("verify"),
        acknowledgements=Acknowledgements(lambda mids: None),
        counters=Counters(),
        payload_limit=1024,
    )
    paho_client.handed = sock
    try:
        paho_client.connect_async("verify", 1, 10)
        paho_client.reconnect()
        _expect(stage.sent[:1] == b"\x10", "CONNECT does not go through _create_socket's socket")
        _expect(sock.fill() and sock.take([], [], 0.0, 1)[0] == FOREIGN, "CONNACK is not left to it")
        paho_client.loop_read()
        _expect(paho_client.is_connected(), "CONNACK is not read through recv")
        paho_client._packet_queue(0x40, _PUBACK, 1, 1)
        _expect(stage.sent.endswith(_PUBACK), "_packet_queue does not send")
        _expect(paho_client._keepalive == 10, "_keepalive is not the interval in seconds")
        _expect(paho_client._max_inflight_messages == 20, "_max_inflight_messages is not the limit of 20")
        paho_client._max_inflight_messages = 1
        paho_client.publish("verify", b"", 1)
        paho_client.publish("verify", b"", 1)
        sent, queued = MessageState.MQTT_MS_WAIT_FOR_PUBACK, MessageState.MQTT_MS_QUEUED
        _expect(_states(paho_client) == [sent, queued], "_out_messages does not hold what is sent and what waits")
        paho_client._max_inflight_messages = 2
        paho_client._update_inflight()
        _expect(_states(paho_client) == [sent, sent], "_update_inflight does not send what waits")
        _expect(isinstance(paho_client._last_bytes_received, float), "_last_bytes_received is no time")
        _expect(paho_client._ping_t == 0.0, "_ping_t is not 0 while no ping waits for its answer")
    except (AttributeError, TypeError) as error:
        raise _misfit(str(error)) from error


def _states(client: Paho) -> list[MessageState]:
    return [message.state for message in client._out_messages.values()]


def _expect(met: bool, otherwise: str) -> None:
    if not met:
        raise _misfit(otherwise)


def _misfit(what: str) -> UpstreamError:
    return UpstreamError(
        f"paho-mqtt {paho.mqtt.__version__} cannot be driven by this gateway ({what}): install paho-mqtt>=2.2,<3"
    )
