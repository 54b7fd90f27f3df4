"""The native protocol in MessagePack: `sensor-gateway.v1.msgpack`, one object a binary frame, payloads as raw bytes."""

from collections.abc import Callable
from struct import Struct
from typing import Any

import msgspec

from gateway.edge.dialects import framing
from gateway.edge.dialects.dialect import Shared, Spoken
from gateway.edge.dialects.native import ReadingsOf, Shown, command_of, no_readings
from gateway.edge.events import Event
from gateway.errors import WRONG_DATA, CloseConnection, CommandError
from gateway.hub.message import Message
from gateway.hub.subscription import Subscription, View

NAME = "sensor-gateway.v1.msgpack"

# https://github.com/msgpack/msgpack/blob/master/spec.md
_FIXMAP = 0x80
_BIN8, _BIN16, _BIN32 = Struct("!BB").pack, Struct("!BH").pack, Struct("!BI").pack
_DOUBLE = Struct("!Bd").pack

_encode = msgspec.msgpack.Encoder().encode


def _unknown(code: int, data: memoryview) -> Any:
    raise ValueError(f"extension type {code} means nothing here")


_decode = msgspec.msgpack.Decoder(ext_hook=_unknown).decode


def _bin(payload: bytes) -> bytes:
    size = len(payload)
    if size < 0x100:
        return _BIN8(0xC4, size) + payload
    if size < 0x10000:
        return _BIN16(0xC5, size) + payload
    return _BIN32(0xC6, size) + payload


class MsgpackVariant:
    """How messages look in MessagePack; with several upstreams each says which one it came from."""

    __slots__ = ("readings", "show_upstream")

    def __init__(self, *, show_upstream: bool = False, readings: ReadingsOf = no_readings) -> None:
        self.show_upstream = show_upstream
        self.readings = readings

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        head = b"\xa4type\xa7message\xa5topic%b\xa4data" % _encode(topic)
        plain = bytes((_FIXMAP | 5,)) + head
        binary, number, double = framing.binary, _encode, _DOUBLE

        def slow(message: Message) -> bytes:
            parts, tail = 5, b""
            flags = (("retained", message.retained), ("replay", view.replay), ("too_large", message.size > 0))
            for name, flag in flags:
                if flag:
                    parts += 1
                    tail += _encode(name) + b"\xc3"
            if message.size:
                parts += 1
                tail += b"\xa4size" + number(message.size)
            if self.show_upstream:
                parts += 1
                tail += b"\xa8upstream" + _encode(message.upstream)
            if view.readings:
                parts += 1
                tail += b"\xa8readings" + _encode([Shown(*reading) for reading in self.readings(message)])
            data = _bin(message.payload) if view.data and not message.size else b"\xc0"
            when = _encode(message.timestamp)
            return binary(
                b"%c%b%b\xa9timestamp%b\xa6offset%b%b"
                % (_FIXMAP | parts, head, data, when, number(message.offset), tail)
            )

        def encode(message: Message) -> bytes:
            payload = message.payload
            when = message.timestamp
            size = len(payload)
            if size > 0xFF or when is None or message.retained or message.size:
                return slow(message)
            return binary(
                b"%b\xc4%c%b\xa9timestamp%b\xa6offset%b"
                % (plain, size, payload, double(0xCB, when), number(message.offset))
            )

        return slow if view.replay or view.readings or self.show_upstream or not view.data else encode


class NativeMsgpack(Shared):
    """The native protocol in MessagePack. Without state: one object serves every client."""

    name = NAME

    def __init__(self, *, show_upstream: bool = False, readings: ReadingsOf = no_readings) -> None:
        self._variant = MsgpackVariant(show_upstream=show_upstream, readings=readings)

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        if text:
            raise CloseConnection(WRONG_DATA.code, f"{NAME} speaks in binary frames")
        try:
            fields = _decode(data)
        except (ValueError, RecursionError) as error:
            return [CommandError("bad-json", f"not MessagePack: {error}")]
        try:
            return [command_of(fields)]
        except CommandError as error:
            return [error]
        except (TypeError, RecursionError) as error:
            # MessagePack can say more than JSON: keys that are lists, say.
            return [CommandError("bad-json", f"data has no form in JSON: {error}")]

    def event(self, event: Event) -> bytes:
        return framing.binary(_encode(event))

    def variant(self, table: tuple[Subscription, ...]) -> MsgpackVariant:
        return self._variant
