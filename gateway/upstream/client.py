"""One MQTT identity over its connections: paho on the event loop, without its threads.

Private parts of paho that this relies on, with `intake`, `keepalive` and `inflight`: `_create_socket` (override),
`_packet_queue`, `_keepalive`, `_last_bytes_received`, `_max_inflight_messages`, `_out_messages`, `_update_inflight`.
`pahocheck.py` tries them before anything connects.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.errors import UpstreamError
from gateway.hub.message import Message
from gateway.hub.ports import Publisher
from gateway.upstream.acknowledgements import Acknowledgements, Receipt
from gateway.upstream.bufferedsocket import BufferedSocket, Transport
from gateway.upstream.clientevents import Events
from gateway.upstream.connector import plain
from gateway.upstream.counters import Counters
from gateway.upstream.handed import Paho, PahoLog, make_paho
from gateway.upstream.inflight import hold_back, send_waiting, take_up
from gateway.upstream.intake import Intake
from gateway.upstream.keepalive import Keepalive
from gateway.upstream.names import TopicNames

CLOSED = "the broker closed the connection"
_PUBACK = 0x40
_KEEPALIVE_TIMEOUT = 0x8D


class MqttClient:
    """One MQTT identity (version, client id, session) over its connections, one at a time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        upstream: str,
        version_5: bool,
        client_id: str,
        clean: bool,
        publisher: Publisher,
        events: Events,
        counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.version_5: Final = version_5
        self.client_id: Final = client_id
        self.clean: Final = clean
        self._loop = loop
        self._upstream = upstream
        self._events = events
        self._counters = counters
        self._clock = clock
        self._acknowledgements = Acknowledgements(self._send_acknowledgements)
        self._socket: BufferedSocket | None = None
        self._over: str | None = None
        self._names = TopicNames(upstream)
        self._payload_limit = 0
        self._linger = 0.0
        self._paho = self._make_paho()
        self._intake: Final = Intake(
            loop,
            publisher=publisher,
            acknowledgements=self._acknowledgements,
            counters=counters,
            clock=clock,
            read=self._paho.loop_read,
            probe=events.probe,
            broke=self._broke,
        )
        self._keepalive: Final = Keepalive(loop, self._paho, counters, lambda: self._intake.reading)

    def _make_paho(self) -> Paho:
        paho = make_paho(self.client_id, version_5=self.version_5, clean=self.clean)
        paho.enable_logger(PahoLog(self._upstream))  # type: ignore[arg-type]
        paho.on_connect = self._on_connect
        paho.on_subscribe = self._on_subscribe
        paho.on_publish = self._on_publish
        paho.on_message = self._on_message
        paho.on_disconnect = self._on_disconnect
        paho.on_socket_open = self._on_socket_open
        paho.on_socket_close = self._on_socket_close
        paho.on_socket_register_write = self._on_register_write
        paho.on_socket_unregister_write = self._on_unregister_write
        return paho

    # What a link does with it

    def remember(self, receipts: Sequence[Receipt]) -> None:
        """Messages of QoS 1 that an earlier run took in: if the broker sends them again, they are acknowledged only."""
        self._acknowledgements.remember(receipts)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands as far as anybody knows."""
        return self._socket is not None and self._paho.is_connected()

    @property
    def waiting_to_send(self) -> bool:
        """Whether the socket does not take more at this moment."""
        return self._paho.want_write()

    def open(
        self,
        transport: Transport,
        *,
        keepalive: float,
        properties: dict[str, int],
        username: str | None,
        password: str | None,
        will: tuple[str, bytes] | None,
        names: TopicNames,
        own: bytes,
        payload_limit: int,
        linger: float = 0.0,
    ) -> None:
        """Send CONNECT over a new transport. `properties` are those of an MQTT 5 CONNECT.

        `keepalive` in seconds, and `linger`, for which nothing is read after messages that had nothing behind them.
        """
        paho = self._paho
        self._names = names
        self._payload_limit = payload_limit
        self._linger = linger
        paho.username_pw_set(username, password)
        paho.will_clear()
        if will is not None:
            paho.will_set(will[0], will[1], qos=1, retain=True)
        options: dict[str, Any] = {}
        if self.version_5:
            connect: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            for name, value in properties.items():
                setattr(connect, name, value)
            options = {"clean_start": self.clean, "properties": connect}
        paho.connect_async("broker", 1, self._keepalive.choose(keepalive), **options)
        self._over = None
        self._socket = paho.handed = BufferedSocket(
            transport,
            upstream=self._upstream,
            version_5=self.version_5,
            names=names,
            acknowledgements=self._acknowledgements,
            counters=self._counters,
            payload_limit=payload_limit,
            own=own,
        )
        paho.reconnect()
        hold_back(paho)
        if self._socket is not None:
            self._keepalive.begin()

    def subscribe(self, filters: list[tuple[str, Any]]) -> int:
        """Send SUBSCRIBE; returns its packet identifier, which `suback` names."""
        code, mid = self._paho.subscribe(filters)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise UpstreamError(f"not subscribed: {mqtt.error_string(code)}")
        return mid

    def unsubscribe(self, filters: list[str]) -> None:
        """Send UNSUBSCRIBE; its answer changes nothing."""
        self._paho.unsubscribe(filters)

    def rename(self, names: TopicNames) -> None:
        """Judge topics by other rules from the next message on."""
        self._names = names
        if self._socket is not None:
            self._socket.rename(names)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Send PUBLISH; returns its packet identifier, which `published` names. Raises UpstreamError, ValueError."""
        info = self._paho.publish(topic, payload, qos, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UpstreamError(f"not published: {mqtt.error_string(info.rc)}")
        return info.mid

    def disconnect(self) -> None:
        """Send DISCONNECT after what waits to be sent; `lost` follows once it is out."""
        self._over = "disconnected by us"
        self._paho.disconnect()

    def abort(self, reason: str) -> None:
        """Drop the connection at once; `lost` follows with `reason`."""
        if self._socket is not None:
            self._over = self._over or reason
            self._socket.end(ConnectionAbortedError(reason))
            self._paho.loop_read()

    def close(self) -> None:
        """Send DISCONNECT if the socket takes it at once, and close."""
        if self._socket is not None:
            self.disconnect()
            self._paho.loop_write()
            self.abort("disconnected by us")

    def _broke(self, reason: str) -> None:
        self._over = reason

    # The socket, and what comes over it

    def _on_socket_open(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._intake.begin(sock, self._linger)

    def _on_socket_close(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._intake.end()
        self._loop.remove_writer(sock.fileno())
        self._keepalive.end()

    def _on_register_write(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock.fileno(), self._write)

    def _on_unregister_write(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())

    def _write(self) -> None:
        self._paho.loop_write()

    def _on_message(self, paho: Any, userdata: Any, message: mqtt.MQTTMessage) -> None:
        """QoS 2, after PUBREL, and whatever the buffered socket left to paho."""
        topic = self._names[bytes(message._topic)]
        if message.qos:
            paho.ack(message.mid, message.qos)
        if not topic:
            return
        payload, size = bytes(message.payload), 0
        if len(payload) > self._payload_limit:
            payload, size = b"", len(payload)
            self._counters.oversize += 1
        now = None if message.retain else self._clock()
        self._intake.messages.append(Message(topic, payload, now, self._upstream, message.retain, size))

    def _send_acknowledgements(self, mids: list[int]) -> None:
        if self.connected:
            # One entry for all of them: paho would make one system call of each `ack`.
            packet = b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])
            self._paho._packet_queue(_PUBACK, packet, mids[-1], 1)

    # What paho tells

    def _on_connect(self, paho: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            self._keepalive.accepted()
            self._acknowledgements.connected(flags.session_present)
            if take_up(self._paho, properties):
                self._loop.call_soon(self._send_waiting)
        self._events.connack(code, flags.session_present, properties)

    def _send_waiting(self) -> None:
        if self.connected:
            send_waiting(self._paho)

    def _on_subscribe(self, paho: Any, userdata: Any, mid: int, codes: list[Any], properties: Any) -> None:
        self._events.suback(mid, codes)

    def _on_publish(self, paho: Any, userdata: Any, mid: int, code: Any, properties: Any) -> None:
        self._events.published(mid, str(code) if code.is_failure else None)

    def _on_disconnect(self, paho: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        sock, self._socket = self._socket, None
        if sock is None:
            return  # paho may call this twice for one connection
        if flags.is_disconnect_packet_from_server:
            text = getattr(properties, "ReasonString", "")
            self._events.lost(f"the broker disconnected us: {code}{f' ({text})' if text else ''}", code.value)
        elif self._over is not None:
            self._events.lost(self._over, None)
        elif sock.failure is not None:
            self._events.lost(f"connection broken: {plain(sock.failure)}", None)
        elif code.value == _KEEPALIVE_TIMEOUT:
            self._events.lost("no answer from the broker within the keep-alive time", None)
        elif sock.ended:
            self._events.lost(CLOSED, None)
        else:
            self._events.lost(f"connection given up: {code}", None)
