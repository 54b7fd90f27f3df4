"""The daemon's life: start order, signals, ordered drain.

Start: log and hub, then listeners (all or none), then the links. Stop: goodbyes to the viewers while the links go on,
then the links, then whatever is left. A second signal ends it at once.
"""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from devices.reading import DeviceState
from devices.registry import Registry
from gateway import __version__
from gateway.config import Config, first_word
from gateway.edge import static
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.native import JsonVariant
from gateway.edge.dialects.registry import Setting, factories
from gateway.edge.dialects.sse import Sse
from gateway.edge.frames import Desk
from gateway.edge.front import Front
from gateway.edge.history import Archive
from gateway.edge.listeners import SEND_BUFFER
from gateway.edge.lists import devices
from gateway.edge.room import Room
from gateway.edge.rules import access_of, endpoints_of, judge_of
from gateway.edge.server import Server
from gateway.edge.visits import Resource
from gateway.edge.watch import Watch
from gateway.hub.budget import Budget
from gateway.hub.freshness import Change, Freshness, Observers, steady_by
from gateway.hub.hub import Hub
from gateway.hub.log import Log
from gateway.hub.message import Message
from gateway.hub.pastreadings import reading_source
from gateway.hub.ports import UpstreamState
from gateway.hub.readings import Readings
from gateway.lifecycle.reload import bounds_of, server_limits, session_limits, stale_after, unsigned
from gateway.lifecycle.service import Service
from gateway.logs.choose import Reader, SharedLog, make_log
from gateway.memory import machine_limits, resolve_memory
from gateway.operations.logs import flush, set_up, tell_faults
from gateway.upstream.upstreams import Upstreams

log = logging.getLogger("gateway")

LINK_STOP = 1.5  # seconds for the links to say goodbye to their brokers


class Publishing:
    """The Publisher that links feed: the log, behind a hub that may be busy."""

    def __init__(self, hub: Hub, log: Log) -> None:
        self._hub = hub
        self._log = log
        self._append = log.append
        self._at_once = hub.at_once

    @property
    def busy(self) -> bool:
        return self._hub.busy or self._log.busy

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        # At an edge box's rates a turn of the loop of its own would cost more than the encoding.
        self._at_once(self._append, messages, durable)


class Daemon:
    """Everything wired together; `run` is its life. The constructor does no I/O."""

    def __init__(self, config: Config, path: Path | None = None) -> None:
        self.begun = self.config = config
        self.path = path
        self.addresses: list[str] = []
        self.log: Log | None = None
        self.shared: SharedLog | None = None
        self.reader: Reader | None = None
        self.ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._now = False
        self._status = 0

    async def run(self) -> int:
        """Live until told to stop; the exit status. Raises GatewayError where it cannot start."""
        config = self.config
        loop = asyncio.get_running_loop()
        name = config.gateway.name or socket.gethostname()
        plan = self.plan = resolve_memory(config, *machine_limits())
        self.readings = Readings(Registry(config.device), wall=time.time)
        self.readings.changed = self._device_changed
        observers = Observers(self.readings)
        budget = Budget(limit=plan.outboxes, kernel=plan.kernel, share=SEND_BUFFER, schedule=loop.call_soon)
        hub = Hub(
            schedule=loop.call_soon,
            clock=time.monotonic,
            last_values=config.limits.last_values,
            last_values_memory=plan.last_values,
            kept=self.readings.kept,
            observer=observers,
            later=loop.call_later,
            period=config.heartbeat.interval,
            budget=budget,
        )
        made = make_log(
            config.history,
            state_dir=config.gateway.state_dir,
            memory=plan.history,
            sink=hub.take,
            loop=loop,
            name=name,
            busy=lambda: hub.busy,
            upstream=unsigned(config.upstream),
        )
        history = self.log = made.log
        self.shared = made.shared
        if made.shared is not None:
            await made.shared.begin()
        recent = history.open()
        hub.restore(recent.last, history.newest)
        reader = self.reader = made.reader()
        reader.start()
        self.upstreams = Upstreams(
            config.upstream,
            publisher=Publishing(hub, history),
            listener=self,
            loop=loop,
            gateway=name,
            payload_limit=config.limits.payload,
            durable=config.history.durable or made.shared is not None,
            turns=made.shared,
        )
        self.upstreams.remember(recent.acknowledged)
        room = Room(
            hub=hub,
            log=history,
            name=name,
            build=__version__,
            heartbeat=config.heartbeat.interval,
            limits=session_limits(config),
            clock=time.monotonic,
            wall=time.time,
            desk=Desk(loop.call_soon, time.monotonic),
            archive=Archive(reader, lambda *reading: reading_source(self.readings.registry, *reading)),
            upstreams=self.upstreams,
            sender=self.upstreams,
            auth_deadline=config.auth.deadline,
        )
        dialects, sse = self.dialects()
        self.server = Server(
            loop=loop,
            front=self._front(dialects),
            room=room,
            limits=server_limits(config, plan),
            bounds=bounds_of(config),
            budget=budget,
            sse=sse,
        )
        freshness = self.freshness = Freshness(
            hub.values,
            hub.wheel,
            newest=lambda: history.newest,
            limits=stale_after(config),
            steady=steady_by(self.readings),
            changed=self._freshness_changed,
            clock=time.monotonic,
            most=config.limits.last_values,
        )
        observers.all.append(freshness)
        room.standing.stale = freshness.stale
        freshness.start(loop.call_later)
        service = self.service = Service(self)
        # Before anybody can reach us: whoever finds a listener open may tell us to stop in the next moment.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await service.open()
        self.server.front.resources["/api/devices"] = Resource(
            "", lambda who, target: devices(room, self.readings, who)
        )
        self.addresses = self.server.listen(endpoints_of(config), service.inherited)
        self.server.start()
        if made.shared is not None:
            made.shared.over = self._log_over
            made.shared.gap, made.shared.gone = self.server.announcer.upstream_gap, self.server.announcer.history_gap
            self.server.front.readiness = self._readiness
        watching = loop.create_task(Watch(self.server).run(), name="edge-watch")
        self.upstreams.start()
        follows = ", ".join(f"{u.name} ({', '.join(t.filter for t in u.topics)})" for u in config.upstream)
        source = f"from {self.path}" if self.path else "without a configuration file"
        log.info("sensor-gateway %s starts %s", __version__, source)
        log.info("listening on %s; following %s; memory %s", ", ".join(self.addresses), follows, plan)
        log.info("%s", first_word(config))
        await service.start()
        self.ready.set()
        # What is alive now lives as long as the process: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        await self._stop.wait()
        await self._drain()
        watching.cancel()
        await service.stop()
        return self._status

    async def close(self) -> None:
        """After `run`, however it ended: the log stores what waits."""
        if self.shared is not None:
            await self.shared.end()
        if self.reader is not None:
            self.reader.close()
        if self.log is not None:
            self.log.close()

    def stop(self) -> None:
        """Drain and end; called a second time: end at once."""
        if self._stop.is_set():
            log.warning("stopping at once")
            os._exit(1)
        self._stop.set()

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link changed its state: every viewer is told."""
        suspect = self.upstreams.clock_suspect
        if self.log is not None:
            self.log.suspect = suspect
        self.server.announcer.clock_judged(suspect)
        self.server.announcer.upstream_changed(state)

    def upstream_gap(self, name: str) -> None:
        """A link lost messages that nobody can count: every viewer is told, on every gateway."""
        if self.shared is None:
            self.server.announcer.upstream_gap(name)
        elif self.upstreams.follows(name):
            self.shared.tell_gap(name)

    def _log_over(self) -> None:
        """The shared log begins anew: whoever watches over this process starts it again, viewers come back by then."""
        self._status = 1
        self.stop()

    def _readiness(self) -> str:
        """Why viewers had better go to another gateway on the same log, "" where they need not."""
        return self.shared.fault if self.shared is not None else ""

    def _freshness_changed(self, change: Change) -> None:
        asyncio.get_running_loop().call_soon(self.server.announcer.freshness_changed, change)

    def _device_changed(self, topic: str, state: DeviceState) -> None:
        # Not now: the hub is in the middle of a turn's messages, and telling a client may let it join an audience.
        asyncio.get_running_loop().call_soon(self.server.announcer.device_changed, topic, state)

    async def _drain(self) -> None:
        config, clients = self.config, len(self.server.connections)
        log.info("stopping: %d clients within %g s", clients, config.gateway.drain)
        self.service.stopping(config.gateway.drain + LINK_STOP)
        # Clients find the same sockets open again in a moment, in the hands of systemd.
        restart = self.server.listeners.inherited
        shared_port = any(endpoint.reuse_port for endpoint in self.server.listeners.endpoints)
        elsewhere = shared_port or self.shared is not None
        await self.server.drain(config.gateway.drain, restart=restart, elsewhere=elsewhere)
        try:
            await asyncio.wait_for(self.upstreams.stop(), LINK_STOP)
        except TimeoutError:
            log.warning("the links did not end within %g s", LINK_STOP)
        self.server.close()
        log.info("stopped")

    def dialects(self) -> tuple[Mapping[str, Callable[[], Dialect]], Dialect]:
        """What clients may speak, by the configuration as it is now; and how Server-Sent Events are written."""
        config = self.config
        several = len(config.upstream) > 1
        setting = Setting(
            limit=config.limits.message_size,
            new_id=partial(secrets.token_hex, 8),
            show_upstream=several,
            readings=self.readings.of,
        )
        assert self.log is not None
        return factories(setting), Sse(self.log.epoch, JsonVariant(show_upstream=several, readings=self.readings.of))

    def _front(self, dialects: Mapping[str, Callable[[], Dialect]]) -> Front:
        config = self.config
        return Front(
            access=access_of(config),
            judge=judge_of(config, clock=time.monotonic, wall=time.time),
            assets=static.load(),
            dialects=dialects,
            upstreams=self.upstreams,
        )


def run(config: Config, path: Path | None = None) -> int:
    """Run the gateway in the foreground; the exit status. Raises GatewayError where it cannot start.

    `path` is where `config` came from: a reload reads it again.
    """
    set_up(config.log)
    tell_faults()
    # A connection is a handful of long-lived objects: fewer, larger collections.
    gc.set_threshold(50_000, 20, 50)

    async def live() -> int:
        daemon = Daemon(config, path)
        try:
            return await daemon.run()
        finally:
            await daemon.close()

    try:
        return asyncio.run(live())
    finally:
        flush()
