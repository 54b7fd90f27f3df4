"""The clock of a connection: paho's pings, and what counts as silence of the broker."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import paho.mqtt.client as mqtt

from gateway.pulse import BEAT, until_beat
from gateway.upstream.counters import Counters

SHARE = 0.6
"""Of the configured keep-alive, in CONNECT: paho alone takes twice its interval to find a dead link."""


class Keepalive:
    """Lets paho ping, from `begin` to `end`. `reading` is whether the socket is read at present."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        paho: mqtt.Client,
        counters: Counters,
        reading: Callable[[], bool],
    ) -> None:
        self.interval = 1
        """Seconds, as CONNECT says."""
        self._loop: Final = loop
        self._paho: Final = paho
        self._counters = counters
        self._reading = reading
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._tick_interval = BEAT
        self._bytes = 0

    def choose(self, keepalive: float) -> int:
        """The interval for CONNECT, in whole seconds, of a configured one in seconds."""
        self.interval = max(1, int(keepalive * SHARE))
        self._tick_interval = min(BEAT, self.interval / 8)
        return self.interval

    def accepted(self) -> None:
        """The broker may have set an interval of its own: a shorter one is kept to, a longer one need not be.

        (MQTT 5.0, 3.2.2.3.14.)
        """
        self._paho._keepalive = min(self._paho._keepalive or self.interval, self.interval)

    def begin(self) -> None:
        """A connection has been opened."""
        self._bytes = self._counters.bytes
        self._schedule()

    def end(self) -> None:
        """The connection is over."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self) -> None:
        now = self._loop.time()
        self._due = now + until_beat(now, self._tick_interval)
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        # Bytes prove the link alive even when the PINGRESP stands behind a large message. While we do not read
        # ourselves, or did not run, silence proves nothing, and neither does a ping that nobody answered.
        asleep = self._loop.time() - self._due > self._tick_interval
        if self._counters.bytes != self._bytes or asleep or not self._reading():
            self._bytes = self._counters.bytes
            self._paho._last_bytes_received = time.monotonic()
            self._paho._ping_t = 0.0
        handle = self._handle
        self._paho.loop_misc()
        if self._handle is handle:  # else the connection is over, by what paho found
            self._schedule()
