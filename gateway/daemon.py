"""The daemon's life: start order, signals, ordered drain.

Start: log and hub, then listeners (all or none), then the links. Stop: goodbyes to the viewers while the links go on,
then the links, then whatever is left. A second signal ends it at once.
"""

import asyncio
import gc
import logging
import os
import signal
import time
from pathlib import Path

from gateway import __version__
from gateway.config import Config, first_word
from gateway.edge.rules import endpoints_of
from gateway.edge.watch import Watch
from gateway.lifecycle.house import House
from gateway.lifecycle.service import Service
from gateway.operations.logs import flush, set_up, tell_faults

log = logging.getLogger("gateway")

LINK_STOP = 1.5  # seconds for the links to say goodbye to their brokers
LOG_STOP = 5.0  # seconds for the log to store what waits where it never came to a drain
END = 1.9  # seconds behind `drain` in which all is over, whatever brokers and disks do


class Daemon:
    """The life of a `house`; the constructor does no I/O."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stop = asyncio.Event()
        self._status = 0
        self._stopped_at: float | None = None

    @property
    def left(self) -> float:
        """Seconds of the time to end that the drain has not taken."""
        if self._stopped_at is None:
            return LOG_STOP
        return max(0.3, self._stopped_at + self._house.config.gateway.drain + END - time.monotonic())

    async def run(self) -> int:
        """Live until told to stop; the exit status. Raises GatewayError where it cannot start."""
        house, loop = self._house, asyncio.get_running_loop()
        await house.build()
        config, server, shared = house.config, house.server, house.shared
        service = Service(house)
        # Before anybody can reach us: whoever finds a listener open may tell us to stop in the next moment.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await service.open()
        addresses = server.listen(endpoints_of(config), service.inherited)
        server.start()
        if shared is not None:
            shared.over = self._log_over
            shared.gap, shared.gone = server.announcer.upstream_gap, server.announcer.history_gap
            server.front.open.readiness = lambda: shared.fault
        watching = loop.create_task(Watch(server).run(), name="edge-watch")
        house.upstreams.start()
        follows = ", ".join(f"{u.name} ({', '.join(t.filter for t in u.topics)})" for u in config.upstream)
        source = f"from {house.path}" if house.path else "without a configuration file"
        log.info("sensor-gateway %s starts %s", __version__, source)
        log.info("listening on %s; following %s; memory %s", ", ".join(addresses), follows, house.plan)
        log.info("%s", first_word(config))
        await service.start()
        # What is alive now lives as long as the process: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        await self._stop.wait()
        await self._drain(service)
        watching.cancel()
        await service.stop()
        return self._status

    def stop(self) -> None:
        """Drain and end; called a second time: end at once."""
        if self._stop.is_set():
            log.warning("stopping at once")
            os._exit(1)
        self._stopped_at = time.monotonic()
        self._stop.set()

    def _log_over(self) -> None:
        """The shared log begins anew: whoever watches over this process starts it again, viewers come back by then."""
        self._status = 1
        self.stop()

    async def _drain(self, service: Service) -> None:
        house, server = self._house, self._house.server
        seconds, clients = house.config.gateway.drain, len(server.connections)
        log.info("stopping: %d clients within %g s", clients, seconds)
        service.stopping(seconds + LINK_STOP)
        # Clients find the same sockets open again in a moment, in the hands of systemd.
        restart = server.listeners.inherited
        shared_port = any(endpoint.reuse_port for endpoint in server.listeners.endpoints)
        await server.drain(seconds, restart=restart, elsewhere=shared_port or house.shared is not None)
        try:
            await asyncio.wait_for(house.upstreams.stop(), LINK_STOP)
        except TimeoutError:
            log.warning("the links did not end within %g s", LINK_STOP)
        server.close()
        log.info("stopped")


def run(config: Config, path: Path | None = None) -> int:
    """Run the gateway in the foreground; the exit status. Raises GatewayError where it cannot start.

    `path` is where `config` came from: a reload reads it again.
    """
    set_up(config.log)
    tell_faults()
    # A connection is a handful of long-lived objects: fewer, larger collections.
    gc.set_threshold(50_000, 20, 50)

    async def live() -> int:
        house = House(config, path)
        daemon = Daemon(house)
        try:
            return await daemon.run()
        finally:
            await house.close(daemon.left)

    try:
        return asyncio.run(live())
    finally:
        flush()
