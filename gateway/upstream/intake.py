"""Readiness in, messages out: what a connection receives, taken in by turns of the loop that leave room for others."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from paho.mqtt.enums import MQTTErrorCode

from gateway.hub.message import Message
from gateway.hub.ports import Publisher
from gateway.upstream.acknowledgements import Acknowledgements, Receipt
from gateway.upstream.bufferedsocket import FOREIGN, MORE, BufferedSocket, ProtocolBreach
from gateway.upstream.counters import Counters

TURN = 512
"""Packets taken in per turn of the loop at most, so that nothing else waits for more than a few milliseconds."""
TURN_BYTES = 64 * 1024
"""Bytes received after which a turn ends with what they hold: what goes out at once must fit into a client's outbox, or
it would be thinned for nothing."""
LEAST_TURN = 16
TURN_TIME = 0.004
"""Seconds; a turn that took longer, since much of it was new to the hub, makes the next ones shorter."""
BUSY_POLL = 0.001
LIGHT = 16 * 1024
"""Bytes; a turn that received more than this is worth its wake-up, and what comes behind it may not fit the kernel's
buffer: nothing is left there on purpose."""


class Intake:
    """Reads one connection after the other, from `begin` to `end`, and hands each turn's messages to the publisher.

    `read` lets paho read what is left to it. `probe` gets the payloads of the link's own probe, `broke` why a
    connection had to be given up. `messages` gathers this turn's; paho's callback for QoS 2 adds to it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        publisher: Publisher,
        acknowledgements: Acknowledgements,
        counters: Counters,
        clock: Callable[[], float],
        read: Callable[[], MQTTErrorCode],
        probe: Callable[[bytes], None],
        broke: Callable[[str], None],
    ) -> None:
        self.messages: list[Message] = []
        self.reading = False
        """Whether the socket is read: not while the publisher is behind."""
        self._loop: Final = loop
        self._publisher = publisher
        self._acknowledgements = acknowledgements
        self._counters = counters
        self._clock = clock
        self._read = read
        self._probe = probe
        self._broke = broke
        self._socket: BufferedSocket | None = None
        self._receipts: list[Receipt] = []
        self._again: asyncio.Handle | None = None
        self._budget = TURN
        self._linger = 0.0

    def begin(self, sock: BufferedSocket, linger: float = 0.0) -> None:
        """Read a connection that has just been opened; after messages not again for `linger` seconds."""
        self._socket = sock
        self._linger = linger
        self._loop.add_reader(sock.fileno(), self._readable)
        self.reading = True

    def end(self) -> None:
        """The connection is about to be closed: its descriptor's number may be somebody else's from then on."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
        self.reading = False
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _readable(self) -> None:
        if self._again is None:  # else the rest of the buffer comes first, in its own turn
            self._turn(fill=True)

    def _turn(self, *, fill: bool = False) -> None:
        """Take in a turn's worth; with `fill` the buffer holds no whole packet."""
        self._again = None
        sock = self._socket
        if sock is None:
            return
        if self._publisher.busy:
            self._pause(BUSY_POLL)
            return
        if not self.reading:
            self._loop.add_reader(sock.fileno(), self._readable)
            self.reading = True
        spent, before, received = False, self._counters.messages, self._counters.bytes
        begin = time.perf_counter()
        try:
            spent = self._take(sock, fill)
        except ProtocolBreach as breach:
            self._broke(str(breach))
            sock.end(breach)
        finally:
            self._hand_on()
            # Behind the flush that this has scheduled: what goes out in one must fit the bounds of a client's outbox.
            if spent and self._socket is sock:
                self._again = self._loop.call_soon(self._turn)
            elif self._linger and self._counters.messages > before and self._counters.bytes - received <= LIGHT:
                self._pause(self._linger)
            took = time.perf_counter() - begin
            # Fit the next turn to what a packet costs the hub at present.
            if took > TURN_TIME:
                self._budget = max(LEAST_TURN, self._budget // 2)
            elif self._budget < TURN and took < TURN_TIME / 4:
                self._budget = min(TURN, self._budget * 2)
        if sock.ended and not spent and self._socket is sock:
            self._read()

    def _pause(self, seconds: float) -> None:
        """Leave to the kernel's buffer what comes meanwhile, where the connection is still there."""
        if self._socket is None:
            return
        if self.reading:
            self._loop.remove_reader(self._socket.fileno())
            self.reading = False
        self._again = self._loop.call_later(seconds, self._turn)

    def _take(self, sock: BufferedSocket, fill: bool) -> bool:
        """Take in what is there, at most a turn's worth; whether more may be waiting."""
        budget = self._budget
        now = self._clock()
        received = self._counters.bytes
        if fill and not sock.fill():
            return False
        while True:
            reason, budget = sock.take(self.messages, self._receipts, now, budget)
            if sock.probes:
                for payload in sock.probes:
                    self._probe(payload)
                sock.probes.clear()
            if reason == FOREIGN:
                budget -= 1
                code = self._read()
                if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._socket is not sock:
                    return False
                if budget <= 0:
                    return True
            elif reason == MORE:
                if sock.ended:
                    return False
                if sock.drained:
                    sock.drained = False
                    return False
                if self._counters.bytes - received >= TURN_BYTES:
                    return True
                if not sock.fill():
                    return False
            else:
                return True

    def _hand_on(self) -> None:
        messages, receipts = self.messages, self._receipts
        self._counters.turns += 1
        if not messages and not receipts:
            return
        self.messages, self._receipts = [], []
        durable = self._acknowledgements.take_in(receipts) if receipts else None
        self._counters.messages += len(messages)
        if messages:
            self._publisher.publish(messages, durable)
        elif durable is not None:
            durable()
