"""The native protocol in JSON: `sensor-gateway.v1.json`, one object a text frame."""

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from devices.reading import Reading, Value
from gateway.edge import commands
from gateway.edge.commands import Command, replay_of
from gateway.edge.dialects import framing
from gateway.edge.dialects.dialect import Shared, Spoken
from gateway.edge.dialects.tail import ENDS, newest, timestamp_text
from gateway.edge.dialects.verbatim import NEVER_DEEP, grammar, is_json
from gateway.edge.events import Event
from gateway.errors import WRONG_DATA, CloseConnection, CommandError
from gateway.hub.message import Message
from gateway.hub.subscription import Subscription, View
from gateway.topics import shorten

NAME = "sensor-gateway.v1.json"
_LONGEST_HEAD = len(framing.TEXT_HEADERS) - NEVER_DEEP - 100  # so that each frame's size stands in the table

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_headers, _tail, _join = framing.TEXT_HEADERS, newest, b"".join


def _data(payload: bytes) -> bytes:
    if is_json(payload):
        return b'"data":' + payload
    try:
        return b'"data":%b,"encoding":"text"' % _encode(payload.decode())
    except UnicodeDecodeError:
        return b'"data":"%b","encoding":"base64"' % b64encode(payload)


ReadingsOf = Callable[[Message], list[Reading]]


def no_readings(message: Message) -> list[Reading]:
    """Where no decoder is at hand."""
    return []


class Shown(msgspec.Struct, gc=False, omit_defaults=True):
    """A reading as the native protocol shows it; `flag` only where there is one."""

    device: str
    channel: str | None
    quantity: str
    value: Value
    unit: str | None
    time: float | None
    flag: str | None = None


class JsonVariant:
    """How messages look in JSON; with several upstreams each says which one it came from."""

    __slots__ = ("readings", "show_upstream")

    def __init__(self, *, show_upstream: bool = False, readings: ReadingsOf = no_readings) -> None:
        self.show_upstream = show_upstream
        self.readings = readings

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        head = b'{"type":"message","topic":%b,' % _encode(topic)
        if view.replay or view.readings or self.show_upstream or not view.data or len(head) > _LONGEST_HEAD:
            return partial(self._slow, head, view)
        # There is one of these for each topic that somebody follows: it keeps little.
        slow, head_data, fixed = self._slow, head + b'"data":', len(head) + 7

        def encode(message: Message) -> bytes:
            payload = message.payload
            if message.retained or message.size or len(payload) >= NEVER_DEEP:
                return slow(head, view, message)
            # What is_json and framing.text do, without their calls: this is half of what one viewer costs.
            try:
                grammar(payload)
                if not payload.isascii():
                    payload.decode()
            except (ValueError, RecursionError):
                return slow(head, view, message)
            offset = message.offset
            last = offset - _tail.base
            if message.timestamp != _tail.timestamp or not 0 <= last < 1000:
                if message.timestamp is None or offset < 1000:
                    return slow(head, view, message)
                _tail.renew(message.timestamp, offset)
                last = offset - _tail.base
            return _join((_headers[fixed + len(payload) + _tail.size], head_data, payload, _tail.text, ENDS[last]))

        return encode

    def _slow(self, head: bytes, view: View, message: Message) -> bytes:
        if message.size:
            data = b'"data":null,"size":%d,"too_large":true' % message.size
        elif view.data:
            data = _data(message.payload)
        else:
            data = b'"data":null'
        more = b',"retained":true' if message.retained else b""
        if view.replay:
            more += b',"replay":true'
        if self.show_upstream:
            more += b',"upstream":%b' % _encode(message.upstream)
        if view.readings:
            more += b',"readings":%b' % _encode([Shown(*reading) for reading in self.readings(message)])
        when = timestamp_text(message.timestamp)
        return framing.text(b'%b%b,"timestamp":%b,"offset":%d%b}' % (head, data, when, message.offset, more))


def _id(value: Any) -> commands.Id:
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise CommandError("bad-json", "an id is a string or an integer")


def _shown(value: Any) -> str:
    """A client's value as it wrote it, for a message to people."""
    return shorten(_encode(value).decode())


def _filters(fields: dict[str, Any], id: commands.Id) -> list[str]:
    topics = fields.get("topics")
    if isinstance(topics, str):
        return [topics]
    if not isinstance(topics, list) or not topics or not all(isinstance(t, str) for t in topics):
        raise CommandError("bad-filter", "topics is a list of topic filters, with at least one", id)
    return topics


def _subscribe(fields: dict[str, Any], id: commands.Id) -> Command:
    mode, interval = fields.get("mode", "all"), fields.get("interval", 0)
    if mode not in ("all", "latest"):
        raise CommandError("unsupported", f'mode is "all" or "latest", not {_shown(mode)}', id)
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 <= interval <= 86_400:
        raise CommandError("unsupported", "interval is a number of seconds from 0 to 86400", id)
    flags = {name: fields.get(name, default) for name, default in (("readings", False), ("data", True))}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise CommandError("unsupported", f"{name} is true or false", id)
    try:
        replay = replay_of(fields.get("replay", "last"))
    except ValueError as error:
        raise CommandError("unsupported", str(error), id) from None
    return commands.Subscribe(
        topics=_filters(fields, id), id=id, mode=mode, interval=float(interval), replay=replay, **flags
    )


def _publish(fields: dict[str, Any], id: commands.Id) -> Command:
    topic, qos, retain = fields.get("topic"), fields.get("qos", 0), fields.get("retain", False)
    if not isinstance(topic, str):
        raise CommandError("bad-filter", "a publish names its topic", id)
    # 1.0 equals 1, and is none that an MQTT client could put into a packet.
    if type(qos) is not int or qos not in (0, 1, 2) or not isinstance(retain, bool):
        raise CommandError("unsupported", "qos is 0, 1 or 2, retain is true or false", id)
    if "data" not in fields:
        text = 'a publish carries data; an empty payload is "" with encoding "text"'
        raise CommandError("bad-json", text, id)
    try:
        payload = payload_of(fields.get("data"), fields.get("encoding"))
    except ValueError as error:
        raise CommandError("bad-json", str(error), id) from None
    return commands.Publish(topic=topic, payload=payload, id=id, qos=qos, retain=retain)


def payload_of(data: Any, encoding: Any) -> bytes:
    """A publish's payload: JSON unless `encoding` says "text" or "base64". Raises ValueError."""
    if isinstance(data, bytes):
        return data
    if encoding is None:
        return _encode(data)
    if encoding not in ("text", "base64") or not isinstance(data, str):
        raise ValueError('encoding is "text" or "base64", and data a string then')
    if encoding == "text":
        return data.encode()
    return msgspec.convert(data, bytes)


def _auth(fields: dict[str, Any], id: commands.Id) -> Command:
    token = fields.get("token")
    if not isinstance(token, str):
        raise CommandError("bad-token", "auth carries a token, a string", id)
    return commands.Auth(token=token, id=id)


def _history(fields: dict[str, Any], id: commands.Id) -> Command:
    try:
        return msgspec.convert(fields, commands.History)
    except msgspec.ValidationError as error:
        raise CommandError("unsupported", f"history: {error}", id) from None


_COMMANDS: dict[str, Callable[[dict[str, Any], commands.Id], Command]] = {
    "subscribe": _subscribe,
    "unsubscribe": lambda fields, id: commands.Unsubscribe(topics=_filters(fields, id), id=id),
    "publish": _publish,
    "auth": _auth,
    "history": _history,
    "ping": lambda fields, id: commands.Ping(id=id),
}


def command_of(fields: Any) -> Command:
    """The command in a decoded object. Raises CommandError."""
    if not isinstance(fields, dict):
        raise CommandError("bad-json", "a command is an object with a type")
    id = _id(fields.get("id"))
    kind = fields.get("type")
    make = _COMMANDS.get(kind) if isinstance(kind, str) else None
    if make is None:
        known = ", ".join(_COMMANDS)
        if kind is None:
            raise CommandError("unknown-type", f"a command names its type; known are {known}", id)
        raise CommandError("unknown-type", f"type {_shown(kind)} is unknown; known are {known}", id)
    return make(fields, id)


class NativeJson(Shared):
    """The native protocol in JSON. Without state: one object serves every client."""

    name = NAME

    def __init__(self, *, show_upstream: bool = False, readings: ReadingsOf = no_readings) -> None:
        self._variant = JsonVariant(show_upstream=show_upstream, readings=readings)

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        if not text:
            raise CloseConnection(WRONG_DATA.code, f"{NAME} speaks in text frames")
        try:
            fields = _decode(data)
        except (ValueError, RecursionError) as error:
            return [CommandError("bad-json", f"not JSON: {error}")]
        try:
            return [command_of(fields)]
        except CommandError as error:
            return [error]

    def event(self, event: Event) -> bytes:
        return framing.text(_encode(event))

    def variant(self, table: tuple[Subscription, ...]) -> JsonVariant:
        return self._variant
