"""The receiving side of a broker link: one large recv, PUBLISH packets taken off in a tight loop, the rest for paho.

paho asks its socket for one byte, one byte and a body, and builds several objects per packet: 8 µs a message for MQTT
3.1.1, 17 µs for 5 (measured). Here a QoS 0 or 1 PUBLISH costs about 0.5 µs, because it never leaves the buffer before
it is a Message. Everything else reaches paho through `recv`, whole packets at a time.
"""

import socket
import ssl
from struct import Struct
from struct import error as StructError
from typing import Final, Protocol

from gateway.hub.message import Message
from gateway.upstream.acknowledgements import Acknowledgements, Receipt
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames
from gateway.upstream.properties import topic_alias, varint

RECEIVE = 128 * 1024
TRICKLE = 1024
"""Bytes; a receive that gave less came from a broker that has time."""
PIECEMEAL = 64 * 1024
"""Packets for paho up to this size are handed over whole; larger ones as they come, so that nothing is copied twice."""
OVERSIZE = 16 * 1024 * 1024
"""A packet more than this above the payload limit ends the connection; below, its payload is skipped."""
TOPIC_ALIASES = 128

MORE, FOREIGN, SPENT = range(3)
"""What stopped `take`: it needs more bytes, a packet for paho comes next, the turn's budget is spent."""

_HEAD = Struct(">BBBH")
_OURS = frozenset((0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B))


class ProtocolBreach(ConnectionError):
    """The broker sent what no broker may send; the text says what. Ends the connection."""


class Transport(Protocol):
    """A connected, non-blocking stream: a socket, an SSLSocket, or MQTT over WebSocket."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...


class BufferedSocket:
    """Wraps a transport; paho sees a socket, the driver calls `fill` and `take`.

    `probes` gathers the payloads of `own`, the topic of the link's probe; the driver empties it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        upstream: str,
        version_5: bool,
        names: TopicNames,
        acknowledgements: Acknowledgements,
        counters: Counters,
        payload_limit: int,
        own: bytes = b"",
    ) -> None:
        self.probes: list[bytes] = []
        self.failure: OSError | None = None
        """What broke the connection; None where the peer closed it, or nothing has happened."""
        self.ended = False
        """Whether the peer has closed or the connection broke: `recv` tells paho once the buffer is empty."""
        self.drained = False
        """Whether the last receive took all that there was: `fill` would find nothing."""
        self._transport: Final = transport
        self._plain = type(transport) is socket.socket
        self._upstream = upstream
        self._version_5 = version_5
        self._names = names
        self._acknowledgements = acknowledgements
        self._counters = counters
        self._payload_limit = payload_limit
        self._own = own
        self._aliases: dict[int, bytes] = {}
        self._data = b""
        self._position = 0
        self._pieces: list[bytes] = []  # of a large packet, joined once all of it is there
        self._missing = 0  # bytes of it that are still to come
        self._granted = 0  # bytes that paho may still read: the rest of one packet
        self._skip = 0  # bytes of an oversize payload still to be thrown away

    # What paho needs of a socket

    def recv(self, size: int, /) -> bytes:
        """Bytes of the packet that was granted to paho; b"" or the error once the connection has ended."""
        size = min(size, self._granted, len(self._data) - self._position)
        if size:
            piece = self._data[self._position : self._position + size]
            self._position += size
            self._granted -= size
            return piece
        if self.failure is not None:
            raise self.failure
        if self.ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes, /) -> int:
        return self._transport.send(data)

    def close(self) -> None:
        self._transport.close()

    def fileno(self) -> int:
        return self._transport.fileno()

    def setblocking(self, flag: bool, /) -> None:
        self._transport.setblocking(flag)

    # What the driver needs

    def rename(self, names: TopicNames) -> None:
        """Judge topics by other rules from now on."""
        self._names = names

    def end(self, failure: OSError | None = None) -> None:
        """Let the connection count as ended, without what may still be in the buffer."""
        self._data, self._position, self._granted, self._missing = b"", 0, 0, 0
        self._pieces.clear()
        self.failure, self.ended = failure, True

    def fill(self) -> bool:
        """Receive once; whether anything came, an end included. False: wait for the socket to become readable."""
        if self.ended:
            return True
        try:
            data = self._transport.recv(RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self.failure, self.ended = error, True
            return True
        if not data:
            self.ended = True
            return True
        self._counters.bytes += len(data)
        # A socket that gave little has no more. Where it gave much, more has come since, and goes out in the same
        # writes. TLS and WebSocket give a record or frame at a time.
        self.drained = self._plain and len(data) < TRICKLE
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        if self._missing:
            self._pieces.append(data)
            self._missing = max(0, self._missing - len(data))
            if self._missing:
                return True
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._data = self._data[self._position :] + data if self._position < len(self._data) else data
        self._position = 0
        return True

    def take(self, messages: list[Message], receipts: list[Receipt], now: float, budget: int) -> tuple[int, int]:
        """Take PUBLISH packets of QoS 0 and 1 off the buffer, in order, until it has to stop.

        Appends to `messages` and, for QoS 1, to `receipts`. Returns why it stopped and what is left of `budget`, a
        number of packets. Raises ProtocolBreach.
        """
        if self._missing:
            return MORE, budget
        if self._granted:
            return (FOREIGN if self._position < len(self._data) or self.ended else MORE), budget
        data, position, end = self._data, self._position, len(self._data)
        if position >= end:
            return MORE, budget
        names, upstream, limit, version_5 = self._names.get, self._upstream, self._payload_limit, self._version_5
        append, make, unpack = messages.append, Message, _HEAD.unpack_from
        while True:
            # Position moves only behind a whole packet, so running off the end of the buffer undoes itself.
            taken = 0
            try:
                for taken in range(budget):  # noqa: B007 - how many were whole is known behind the loop
                    if position == end:
                        break  # rather than by the exception, whose price is felt where messages come one at a time
                    # Fixed header and topic length (MQTT 5.0, 2.1 and 3.3.2.1), guessed to be of 2 and 3 bytes: one
                    # call costs less than looking at the bytes one by one.
                    head, length, high, size = unpack(data, position)
                    if length < 128:
                        start = position + 4
                        stop = start + length - 2
                        size = (high << 8) + (size >> 8)
                    elif high < 128:
                        start = position + 5
                        stop = start + length + (high << 7) - 130
                    else:
                        break
                    cut = start + size
                    if stop > end or cut > stop:
                        break
                    topic = names(data[start:cut])
                    if head & 2:
                        mid = (data[cut] << 8) + data[cut + 1]
                        cut += 2
                    if version_5:
                        if data[cut]:
                            break
                        cut += 1
                    if cut > stop or stop - cut > limit or not topic:
                        break
                    if head == 0x30:
                        append(make(topic, data[cut:stop], now, upstream))
                    elif head in _OURS:
                        payload = data[cut:stop]
                        if not head & 2:
                            mid = 0
                        else:
                            receipt = (mid, topic, hash(payload))
                            receipts.append(receipt)
                            if head & 8 and self._acknowledgements.redelivered(receipt):
                                self._counters.repeated += 1
                                position = stop
                                continue
                        # Whoever sent a retained value, nobody says when.
                        append(make(topic, payload, None if head & 1 else now, upstream, bool(head & 1), 0, 0, mid))
                    else:
                        break
                    position = stop
                else:
                    taken = budget
            except (IndexError, StructError):
                pass
            self._position = position
            budget -= taken
            if budget <= 0:
                return SPENT, budget
            if position >= end:
                return MORE, budget
            reason = self._take_unusual(messages, receipts, now)
            if reason is not None:
                return reason, budget
            position = self._position
            budget -= 1

    def _take_unusual(self, messages: list[Message], receipts: list[Receipt], now: float) -> int | None:
        """One packet that the tight loop left: taken here (None), left for paho, or not there yet."""
        data, position, end = self._data, self._position, len(self._data)
        try:
            head = data[position]
            length, start = varint(data, position + 1)
        except IndexError:
            return MORE
        except ValueError as error:
            raise ProtocolBreach(f"the broker sent garbage: {error}") from None
        if length > self._payload_limit + OVERSIZE:
            raise ProtocolBreach(
                f"the broker sent a packet of {length} bytes; more than "
                f"{self._payload_limit + OVERSIZE} are not taken in (limits.payload and 16 MiB)"
            )
        if head in _OURS:
            return self._take_publish(head, start, start + length, messages, receipts, now)
        if start + length > end and length <= PIECEMEAL:
            return MORE
        self._granted = start + length - position
        return FOREIGN

    def _take_publish(
        self, head: int, start: int, stop: int, messages: list[Message], receipts: list[Receipt], now: float
    ) -> int | None:
        """A PUBLISH of QoS 0 or 1 with properties, too large, for nobody, or cut off by the end of the buffer."""
        data, end = self._data, len(self._data)
        if stop > end and stop - start <= self._payload_limit:
            return self._wait_for(stop)
        try:
            cut = start + 2 + (data[start] << 8) + data[start + 1]
            if cut > end:
                raise IndexError  # a slice would be silent about a topic of which only a part has come
            raw = data[start + 2 : cut]
            mid = 0
            if head & 2:
                mid = (data[cut] << 8) + data[cut + 1]
                cut += 2
            if self._version_5:
                length, cut = varint(data, cut)
                alias = topic_alias(data, cut, cut + length) if length else 0
                cut += length
                if alias:
                    raw = self._aliased(alias, raw)
        except IndexError:
            if stop > end:
                return MORE
            raise ProtocolBreach("the broker sent a PUBLISH that ends too soon") from None
        except ValueError as error:
            raise ProtocolBreach(f"the broker sent a malformed PUBLISH: {error}") from None
        if cut > stop:
            raise ProtocolBreach("the broker sent a PUBLISH that ends too soon")
        if not raw:
            raise ProtocolBreach("the broker sent a PUBLISH without a topic")
        size = stop - cut
        if size <= self._payload_limit and stop > end:
            return self._wait_for(stop)
        self._position = min(stop, end)
        self._skip = stop - self._position
        topic = self._names[raw]
        payload = data[cut:stop] if size <= self._payload_limit else b""
        receipt = (mid, topic, hash(payload) if payload else size)
        if head & 2:
            receipts.append(receipt)
        if not topic:
            self._reject(raw, payload)
        elif head & 8 and self._acknowledgements.redelivered(receipt):
            self._counters.repeated += 1
        else:
            over = 0 if size <= self._payload_limit else size
            self._counters.oversize += bool(over)
            retained = bool(head & 1)
            messages.append(Message(topic, payload, None if retained else now, self._upstream, retained, over, 0, mid))
        return None

    def _wait_for(self, stop: int) -> int:
        """The packet ends at `stop`, beyond the buffer: receive that much before anything is looked at again."""
        if stop - len(self._data) > RECEIVE:
            self._missing = stop - len(self._data)
        return MORE

    def _reject(self, raw: bytes, payload: bytes) -> None:
        if raw == self._own and raw:
            self.probes.append(payload)
        elif self._names.is_malformed(raw):
            self._counters.malformed += 1
        else:
            self._counters.excluded += 1

    def _aliased(self, alias: int, raw: bytes) -> bytes:
        """The topic behind an alias of this connection, or a new meaning for it (MQTT 5.0, 3.3.2.3.4)."""
        if alias > TOPIC_ALIASES:
            raise ProtocolBreach(f"the broker used topic alias {alias}; we allowed {TOPIC_ALIASES}")
        if raw:
            self._aliases[alias] = raw
            return raw
        known = self._aliases.get(alias)
        if known is None:
            raise ProtocolBreach(f"the broker used topic alias {alias} before saying what it means")
        return known
