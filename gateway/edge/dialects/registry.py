"""Every dialect that is spoken over a WebSocket: a row each."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.edge.dialects import mqtt, msgpack, native, socketio, stomp
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.socketio_recovery import Recovery

Factory = Callable[[], Dialect]


class Setting(NamedTuple):
    """What dialects know of their gateway.

    `limit` is the largest message taken of a client, in bytes. `new_id` makes ids that nobody can guess. With several
    upstreams each message says which one it came from. `readings` decodes a message.
    """

    limit: int
    new_id: Callable[[], str]
    show_upstream: bool = False
    readings: native.ReadingsOf = native.no_readings


class Row(NamedTuple):
    """A dialect. `token` is its subprotocol, "" for clients that offer none, or the path where alone it is spoken.

    `kind` is what `[[listen]] dialects` calls it; `make` gives what makes one client's dialect.
    """

    token: str
    kind: str
    make: Callable[[Setting], Factory]


def _json(setting: Setting) -> Factory:
    dialect = native.NativeJson(show_upstream=setting.show_upstream, readings=setting.readings)
    return lambda: dialect


def _msgpack(setting: Setting) -> Factory:
    dialect = msgpack.NativeMsgpack(show_upstream=setting.show_upstream, readings=setting.readings)
    return lambda: dialect


def _stomp(name: str) -> Callable[[Setting], Factory]:
    return lambda setting: lambda: stomp.Stomp(name, limit=setting.limit, show_upstream=setting.show_upstream)


def _mqtt(setting: Setting) -> Factory:
    return lambda: mqtt.Mqtt(limit=setting.limit, new_id=setting.new_id)


def _socketio(setting: Setting) -> Factory:
    recovery = Recovery()
    json = native.JsonVariant(show_upstream=setting.show_upstream, readings=setting.readings)
    return lambda: socketio.SocketIo(limit=setting.limit, new_id=setting.new_id, recovery=recovery, json=json)


ROWS = (
    Row("", "native", _json),
    Row(native.NAME, "native", _json),
    Row(msgpack.NAME, "native", _msgpack),
    *(Row(name, "stomp", _stomp(name)) for name in stomp.NAMES),
    Row(mqtt.NAME, "mqtt", _mqtt),
    Row(socketio.PATH, "socketio", _socketio),
)
KINDS: Mapping[str, str] = {row.token: row.kind for row in ROWS}
PLAIN_REFUSALS: Mapping[str, str] = {socketio.PATH: socketio.WEBSOCKET_ONLY}
"""What a request without an upgrade is told, by path."""

VERSIONS: Mapping[str, tuple[str, str, str]] = {socketio.PATH: (*socketio.VERSION, socketio.OTHER_VERSION)}
"""By path: the parameter of an address that names the version, the one spoken, and what clients of another are told."""


def factories(setting: Setting) -> dict[str, Factory]:
    """What makes the dialect of each token."""
    return {row.token: row.make(setting) for row in ROWS}
