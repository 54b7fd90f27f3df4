"""Packets of Engine.IO 4 and Socket.IO 5 (socket.io/docs/v4/engine-io-protocol, …/socket-io-protocol). Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gateway.edge.dialects import framing
from gateway.edge.dialects.native import JsonVariant
from gateway.edge.dialects.tail import timestamp_text
from gateway.edge.dialects.verbatim import is_json
from gateway.errors import GatewayError
from gateway.hub.message import Message
from gateway.hub.subscription import View

OPEN, CLOSE, PING, PONG, MESSAGE = "0", "1", "2", "3", "4"
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT = "0", "1", "2", "3", "4", "5"
MAX_ATTACHMENTS = 8
MAX_DIGITS = 15  # an acknowledgement's number stays within what JavaScript counts exactly

_PREFIX = b'42["message",'

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Malformed(GatewayError):
    """The client broke the protocol: the connection ends."""


class Packet(NamedTuple):
    """A Socket.IO packet; `ack` is the number under which it wants an answer, `attachments` how many follow it."""

    kind: str
    namespace: str
    ack: int | None
    data: Any
    attachments: int = 0


def read(text: str) -> Packet:
    """The Socket.IO packet in an Engine.IO message. Raises Malformed."""
    kind, rest = text[:1], text[1:]
    if kind not in (CONNECT, DISCONNECT, EVENT, ACK, BINARY_EVENT):
        raise Malformed(f"a client does not send packets of type {kind!r} here")
    attachments = 0
    if kind == BINARY_EVENT:
        number, dash, rest = rest.partition("-")
        if not dash or not number.isdecimal() or len(number) > 2 or not 0 < int(number) <= MAX_ATTACHMENTS:
            raise Malformed(f"an event has at most {MAX_ATTACHMENTS} attachments")
        attachments = int(number)
    namespace = "/"
    if rest.startswith("/"):
        namespace, _, rest = rest.partition(",")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    if digits > MAX_DIGITS:
        raise Malformed("the number of an acknowledgement is too long")
    ack = int(rest[:digits]) if digits else None
    body = rest[digits:]
    try:
        data = _decode(body) if body else None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if kind in (EVENT, BINARY_EVENT) and not (isinstance(data, list) and data and isinstance(data[0], str)):
        raise Malformed("an event is a list that begins with its name")
    if kind == CONNECT and not (data is None or isinstance(data, dict)):
        raise Malformed("what a CONNECT carries is an object")
    return Packet(kind, namespace, ack, data, attachments)


def join(data: Any, attachments: list[bytes], depth: int = 32) -> Any:
    """`data` with its placeholders replaced by the attachments. Raises Malformed."""
    if depth == 0:
        raise Malformed("an event with attachments is nested too deep")
    if isinstance(data, list):
        return [join(item, attachments, depth - 1) for item in data]
    if not isinstance(data, dict):
        return data
    if data.get("_placeholder") is True:
        number = data.get("num")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(attachments):
            raise Malformed("a placeholder names no attachment")
        return attachments[number]
    return {key: join(value, attachments, depth - 1) for key, value in data.items()}


def fields(name: str, arguments: list[Any]) -> Any:
    """The native protocol's fields in the arguments of an event: an object, or its shorter form."""
    first = arguments[0] if arguments else {}
    if name in ("subscribe", "unsubscribe") and isinstance(first, str | list):
        return {"topics": first}
    if name == "publish" and isinstance(first, str):
        return {"topic": first, "data": arguments[1]} if len(arguments) > 1 else {"topic": first}
    if name == "auth" and isinstance(first, str):
        return {"token": first}
    return first


def packet(kind: str, data: Any = None, *, namespace: str = "/", ack: int | None = None) -> bytes:
    """A Socket.IO packet in a text frame."""
    head = MESSAGE + kind
    if namespace != "/":
        head += f"{namespace},"
    if ack is not None:
        head += str(ack)
    return framing.text(head.encode() + (b"" if data is None else _encode(data)))


def opening(sid: str, *, interval: float, timeout: float, limit: int) -> bytes:
    """The server's first packet; times in seconds, `limit` in bytes."""
    told = {
        "sid": sid,
        "upgrades": [],
        "pingInterval": int(interval * 1000),
        "pingTimeout": int(timeout * 1000),
        "maxPayload": limit,
    }
    return framing.text(OPEN.encode() + _encode(told))


class SocketIoVariant(NamedTuple):
    """How messages look as events; with `epoch` each has its offset as last argument, as state recovery wants it."""

    epoch: str | None
    json: JsonVariant

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        encode = self.json.encoder(topic, view)
        text = framing.text

        def plain(message: Message) -> bytes:
            return text(b"%b%b]" % (_PREFIX, framing.body(encode(message))))

        # What is told again lies before the place up to which the client has everything.
        if self.epoch is None or view.replay:
            return plain
        mark = b',"' + self.epoch.encode() + b":"
        if view.readings or not view.data or self.json.show_upstream:

            def marked(message: Message) -> bytes:
                return text(b'%b%b%b%d"]' % (_PREFIX, framing.body(encode(message)), mark, message.offset))

            return marked
        head = b'%b{"type":"message","topic":%b,"data":' % (_PREFIX, _encode(topic))
        stamp = timestamp_text

        def quick(message: Message) -> bytes:
            payload, offset = message.payload, message.offset
            if message.retained or message.size or not is_json(payload):
                return text(b'%b%b%b%d"]' % (_PREFIX, framing.body(encode(message)), mark, offset))
            when = stamp(message.timestamp)
            return text(b'%b%b,"timestamp":%b,"offset":%d}%b%d"]' % (head, payload, when, offset, mark, offset))

        return quick
