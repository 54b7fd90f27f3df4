"""paho on the event loop, without its threads: readiness in, messages and events out.

Private parts of paho that this relies on: `_create_socket` (override), `_packet_queue`, `_keepalive`,
`_last_bytes_received`, `_max_inflight_messages`, `_out_messages`, `_update_inflight`. `pahocheck.py` tries them before
anything connects.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MessageState, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.errors import UpstreamError
from gateway.hub.message import Message
from gateway.hub.ports import Publisher
from gateway.upstream.acknowledgements import Acknowledgements, Receipt
from gateway.upstream.bufferedsocket import FOREIGN, MORE, BufferedSocket, ProtocolBreach, Transport
from gateway.upstream.connector import plain
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames

logger = logging.getLogger("gateway.upstream")

TURN = 512
"""Packets taken in per turn of the loop at most, so that nothing else waits for more than a few milliseconds."""
LEAST_TURN = 16
TURN_TIME = 0.004
"""Seconds; a turn that took longer, since much of it was new to the hub, makes the next ones shorter."""
BUSY_POLL = 0.001
OUTGOING_IN_FLIGHT = 20
"""QoS 1 and 2 messages sent and not answered: what brokers that announce nothing (MQTT 3.1.1) take by default."""
CLOSED = "the broker closed the connection"
_KEEPALIVE_SHARE = 0.6
_PUBACK = 0x40
_KEEPALIVE_TIMEOUT = 0x8D


class Events(Protocol):
    """What a link hears of its client. Nothing comes after `lost` until the next `open`."""

    def connack(self, code: Any, session_present: bool, properties: Any) -> None:
        """The broker accepted the connection, or refused it (`code.is_failure`); then `lost` follows."""

    def suback(self, mid: int, codes: Sequence[Any]) -> None:
        """The broker answered a SUBSCRIBE."""

    def published(self, mid: int, failure: str | None) -> None:
        """The broker has a message (QoS 0: the socket has it), or refused it."""

    def probe(self, payload: bytes) -> None:
        """The link's own probe came round."""

    def lost(self, reason: str, code: int | None) -> None:
        """The connection is over; `code` is the reason code of the broker's DISCONNECT, where it sent one."""


class Paho(mqtt.Client):
    """paho's client on a socket that it is handed instead of opening one, which would block the loop."""

    handed: BufferedSocket | None = None

    def _create_socket(self) -> Any:
        handed, self.handed = self.handed, None
        if handed is None:
            raise UpstreamError("paho asked for a socket of its own accord")
        return handed


class PahoLog:
    """What paho logs, at level debug, since the link tells each change itself; but a fault in our callbacks is one."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    def log(self, level: int, form: str, *arguments: object) -> None:
        if form.startswith("Caught exception"):
            logger.error("upstream %s: a fault in the gateway: " + form, self._upstream, *arguments, exc_info=True)
        else:
            logger.debug("upstream %s: " + form, self._upstream, *arguments)


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
        self._publisher = publisher
        self._events = events
        self._counters = counters
        self._clock = clock
        self._acknowledgements = Acknowledgements(self._send_acknowledgements)
        self._socket: BufferedSocket | None = None
        self._messages: list[Message] = []
        self._receipts: list[Receipt] = []
        self._again: asyncio.Handle | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._tick_interval = 1.0
        self._bytes_at_tick = 0
        self._reading = False
        self._budget = TURN
        self._over: str | None = None
        self._keepalive = 1
        self._names = TopicNames(upstream)
        self._payload_limit = 0
        self._paho = self._make_paho()

    def _make_paho(self) -> Paho:
        paho = Paho(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if self.version_5 else self.clean,
            protocol=MQTTProtocolVersion.MQTTv5 if self.version_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        # An exception that leaves a callback makes paho handle the same packet for ever.
        paho.suppress_exceptions = True
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
    ) -> None:
        """Send CONNECT over a new transport. `properties` are those of an MQTT 5 CONNECT; `keepalive` in seconds."""
        paho = self._paho
        self._names = names
        self._payload_limit = payload_limit
        paho.username_pw_set(username, password)
        paho.will_clear()
        if will is not None:
            paho.will_set(will[0], will[1], qos=1, retain=True)
        self._keepalive = max(1, int(keepalive * _KEEPALIVE_SHARE))
        options: dict[str, Any] = {}
        if self.version_5:
            connect: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            for name, value in properties.items():
                setattr(connect, name, value)
            options = {"clean_start": self.clean, "properties": connect}
        paho.connect_async("broker", 1, self._keepalive, **options)
        self._over = None
        self._bytes_at_tick = self._counters.bytes
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
        for message in paho._out_messages.values():
            # paho would send all of them again at CONNACK, whatever the broker's Receive Maximum.
            if message.state == MessageState.MQTT_MS_PUBLISH:
                message.state = MessageState.MQTT_MS_QUEUED
        self._tick_interval = min(1.0, self._keepalive / 8)
        self._schedule_tick()

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

    # Reading

    def _on_socket_open(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._loop.add_reader(sock.fileno(), self._readable)
        self._reading = True

    def _on_socket_close(self, paho: Any, userdata: Any, sock: Any) -> None:
        # paho closes right after: the number of the descriptor may be somebody else's from then on.
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())
        self._reading = False
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._tick_handle is not None:
            self._tick_handle.cancel()
            self._tick_handle = None

    def _readable(self) -> None:
        if self._again is None:  # else the rest of the buffer comes first, in its own turn
            self._turn()

    def _turn(self) -> None:
        self._again = None
        sock = self._socket
        if sock is None:
            return
        if self._publisher.busy:
            if self._reading:
                self._loop.remove_reader(sock.fileno())
                self._reading = False
            self._again = self._loop.call_later(BUSY_POLL, self._turn)
            return
        if not self._reading:
            self._loop.add_reader(sock.fileno(), self._readable)
            self._reading = True
        spent = False
        begin = time.perf_counter()
        try:
            spent = self._take(sock)
        except ProtocolBreach as breach:
            self._over = str(breach)
            sock.end(breach)
        finally:
            if spent and self._socket is sock:
                self._again = self._loop.call_soon(self._turn)
            self._hand_on()
            self._pace(time.perf_counter() - begin)
        if sock.ended and not spent and self._socket is sock:
            self._paho.loop_read()

    def _pace(self, took: float) -> None:
        """Fit the next turn to what a packet costs the hub at present."""
        if took > TURN_TIME:
            self._budget = max(LEAST_TURN, self._budget // 2)
        elif took < TURN_TIME / 4 and self._budget < TURN:
            self._budget = min(TURN, self._budget * 2)

    def _take(self, sock: BufferedSocket) -> bool:
        """Take in what is there, at most a turn's worth; whether more may be waiting."""
        budget = self._budget
        now = self._clock()
        while True:
            reason, budget = sock.take(self._messages, self._receipts, now, budget)
            if sock.probes:
                for payload in sock.probes:
                    self._events.probe(payload)
                sock.probes.clear()
            if reason == FOREIGN:
                budget -= 1
                code = self._paho.loop_read()
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._socket is not sock:
                    return False
                if budget <= 0:
                    return True
            elif reason == MORE:
                if sock.ended or not sock.fill():
                    return False
            else:
                return True

    def _hand_on(self) -> None:
        messages, receipts = self._messages, self._receipts
        self._counters.turns += 1
        if not messages and not receipts:
            return
        self._messages, self._receipts = [], []
        durable = self._acknowledgements.take_in(receipts) if receipts else None
        self._counters.messages += len(messages)
        if messages:
            self._publisher.publish(messages, durable)
        elif durable is not None:
            durable()

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
        self._messages.append(Message(topic, payload, now, self._upstream, message.retain, size))

    def _send_acknowledgements(self, mids: list[int]) -> None:
        if self.connected:
            # One entry for all of them: paho would make one system call of each `ack`.
            packet = b"".join([b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids])
            self._paho._packet_queue(_PUBACK, packet, mids[-1], 1)

    # Writing and time

    def _on_register_write(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock.fileno(), self._write)

    def _on_unregister_write(self, paho: Any, userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())

    def _write(self) -> None:
        self._paho.loop_write()

    def _schedule_tick(self) -> None:
        self._tick_due = self._loop.time() + self._tick_interval
        self._tick_handle = self._loop.call_later(self._tick_interval, self._tick)

    def _tick(self) -> None:
        self._tick_handle = None
        sock = self._socket
        if sock is None:
            return
        # Bytes prove the link alive even when the PINGRESP stands behind a large message. While we do not read
        # ourselves, or did not run, silence proves nothing.
        asleep = self._loop.time() - self._tick_due > self._tick_interval
        if self._counters.bytes != self._bytes_at_tick or asleep or not self._reading:
            self._bytes_at_tick = self._counters.bytes
            self._paho._last_bytes_received = time.monotonic()
        self._paho.loop_misc()
        if self._socket is sock:
            self._schedule_tick()

    # What paho tells

    def _on_connect(self, paho: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            # A shorter interval than the server's is allowed, a longer one is not (MQTT 5.0, 3.2.2.3.14).
            self._paho._keepalive = min(self._paho._keepalive or self._keepalive, self._keepalive)
            self._acknowledgements.connected(flags.session_present)
            limit = getattr(properties, "ReceiveMaximum", OUTGOING_IN_FLIGHT)
            self._paho._max_inflight_messages = min(OUTGOING_IN_FLIGHT, limit)
            self._resume_outgoing()
        self._events.connack(code, flags.session_present, properties)

    def _resume_outgoing(self) -> None:
        """Let PUBRELs go first, since paho stops at the first message that waits; then those that may be in flight."""
        messages = self._paho._out_messages
        for mid, message in reversed(list(messages.items())):
            if message.state == MessageState.MQTT_MS_RESEND_PUBREL:
                messages.move_to_end(mid, last=False)
        if messages:
            self._loop.call_soon(self._send_waiting)

    def _send_waiting(self) -> None:
        if self.connected:
            self._paho._update_inflight()

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
