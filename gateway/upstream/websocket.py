"""MQTT over WebSocket (MQTT 5.0, section 6): binary frames over a connected socket, seen as a stream."""

import socket
import ssl
import time
from collections import deque

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gateway.upstream.address import Address

MAX_FRAME = 32 * 1024 * 1024
_HANDSHAKE_CHUNK = 16 * 1024


class WebSocketTransport:
    """A transport for the buffered socket. Does the opening handshake at once, blocking until `deadline`.

    Raises OSError where the peer refuses or ends the handshake. Frames need not be packets: payloads are joined.
    """

    def __init__(self, connection: socket.socket, address: Address, deadline: float) -> None:
        self._connection = connection
        self._protocol = ClientProtocol(
            parse_uri(f"{address.scheme}://{_host(address)}{address.path}"),
            subprotocols=[Subprotocol("mqtt")],
            max_size=MAX_FRAME,
        )
        self._received: deque[bytes] = deque()
        self._to_send = bytearray()
        self._offered = 0
        self._ended = False
        self._handshake(deadline)

    def recv(self, size: int, /) -> bytes:
        """The payloads that one receive brought, which may be more than `size` bytes; b"" at the end."""
        while not self._received:
            if self._ended:
                return b""
            data = self._connection.recv(size)  # raises BlockingIOError, SSLWantReadError
            self._feed(data)
        payload = b"".join(self._received)
        self._received.clear()
        return payload

    def send(self, data: bytes, /) -> int:
        """Send one frame; raises BlockingIOError while part of it waits: then the same `data` is to be sent again."""
        if self._protocol.state is not State.OPEN:
            raise ConnectionError("the WebSocket is closing")
        if not self._offered:
            self._protocol.send_binary(bytes(data))
            self._gather()
            self._offered = len(data)
        self._flush()
        offered, self._offered = self._offered, 0
        return offered

    def close(self) -> None:
        self._connection.close()

    def fileno(self) -> int:
        return self._connection.fileno()

    def setblocking(self, flag: bool, /) -> None:
        self._connection.setblocking(flag)

    def _handshake(self, deadline: float) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._gather()
        self._connection.settimeout(_left(deadline))
        self._connection.sendall(self._to_send)
        self._to_send.clear()
        while self._protocol.state is State.CONNECTING:
            self._connection.settimeout(_left(deadline))
            self._feed(self._connection.recv(_HANDSHAKE_CHUNK))
            failure = self._protocol.handshake_exc
            if isinstance(failure, InvalidHandshake):
                raise ConnectionError(f"WebSocket handshake failed: {failure}") from failure
            if failure is not None or self._ended:
                raise ConnectionError("WebSocket handshake failed: the broker closed the connection")
        if self._protocol.subprotocol != "mqtt":
            raise ConnectionError("WebSocket handshake failed: the server does not offer mqtt")

    def _feed(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            self._ended = True
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                if event.data:
                    self._received.append(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode in (Opcode.CLOSE, Opcode.TEXT):
                self._ended = True
        if isinstance(self._protocol.parser_exc, ProtocolError):
            self._ended = True
        if self._protocol.state is State.CONNECTING:
            return
        # Pongs and close frames go out at the next chance; they are tiny, so it is this one.
        self._gather()
        try:
            self._flush()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # the next `send` takes them along
        except OSError:
            self._ended = True

    def _gather(self) -> None:
        for piece in self._protocol.data_to_send():
            self._to_send += piece

    def _flush(self) -> None:
        while self._to_send:
            sent = self._connection.send(self._to_send)
            del self._to_send[:sent]


def _host(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
