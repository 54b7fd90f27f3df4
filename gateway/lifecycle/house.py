"""The parts of a gateway, wired together: each is made when those that it needs are there.

Nothing listens yet, and no link connects; only a log that gateways share has to be reached.
"""

import asyncio
import logging
import socket
import time
from pathlib import Path

from devices.registry import Registry
from gateway import __version__
from gateway.config import Config
from gateway.edge import static
from gateway.edge.breaks import Breaks
from gateway.edge.endpoints import SEND_BUFFER
from gateway.edge.frames import Desk
from gateway.edge.front import Front
from gateway.edge.history import Archive
from gateway.edge.lists import devices
from gateway.edge.room import Room
from gateway.edge.rules import access_of, judge_of
from gateway.edge.server import Server
from gateway.edge.visits import Resource
from gateway.edge.volley import Volley
from gateway.hub.budget import Budget
from gateway.hub.feed import Feed
from gateway.hub.freshness import Freshness
from gateway.hub.hub import Hub
from gateway.hub.log import Log, Recent
from gateway.hub.observers import Observers
from gateway.hub.pastreadings import reading_source
from gateway.hub.readings import Readings
from gateway.hub.staleness import steady_by
from gateway.latestfile import LatestFile
from gateway.lifecycle.messenger import Messenger
from gateway.lifecycle.settings import bounds_of, dialects_of, server_limits, session_limits, stale_after, unsigned
from gateway.logs.choose import Reader, SharedLog, make_log
from gateway.memory import MemoryPlan, machine_limits, resolve_memory
from gateway.upstream import held
from gateway.upstream.held import Held
from gateway.upstream.upstreams import Upstreams

logger = logging.getLogger("gateway")

LOSSES = "losses"  # in the state folder: the offset behind which messages last passed by upstream


class House:
    """`path` is where its configuration came from, None without a file; `plan` is its memory, `shared` its log, where
    that is one for many gateways.

    `begun` is the configuration that it was started with, `config` the one of the last reload. The constructor does no
    I/O, `build` makes the parts, `close` ends what it has opened.
    """

    plan: MemoryPlan
    server: Server
    upstreams: Upstreams
    readings: Readings
    freshness: Freshness

    def __init__(self, config: Config, path: Path | None = None) -> None:
        self.path = path
        self.begun = self.config = config
        self.shared: SharedLog | None = None
        self._log: Log | None = None
        self._reader: Reader | None = None
        self._volley: Volley | None = None

    async def build(self) -> None:
        """Make the parts. Raises GatewayError where one cannot be."""
        config, loop = self.config, asyncio.get_running_loop()
        name = config.gateway.name or socket.gethostname()
        plan = self.plan = resolve_memory(config, *machine_limits())
        messenger = Messenger(self, loop.call_soon)
        readings = self.readings = Readings(Registry(config.device), wall=time.time)
        readings.changed = messenger.device_changed
        observers = Observers(readings)
        budget = Budget(limit=plan.outboxes, kernel=plan.kernel, share=SEND_BUFFER, schedule=loop.call_soon)
        volley = self._volley = Volley(server_limits(config, plan).connections)
        hub = Hub(
            schedule=loop.call_soon,
            clock=time.monotonic,
            last_values=config.limits.last_values,
            last_values_memory=plan.last_values,
            kept=readings.kept,
            observer=observers,
            later=loop.call_later,
            period=config.heartbeat.interval,
            budget=budget,
            volley=volley,
        )
        log, reader, recent = await self._history(hub, name)
        upstreams = self.upstreams = Upstreams(
            config.upstream,
            publisher=Feed(hub, log),
            listener=messenger,
            loop=loop,
            gateway=name,
            payload_limit=config.limits.payload,
            durable=config.history.durable or self.shared is not None,
            turns=self.shared,
            held=Held(config.gateway.state_dir / held.NAME),
        )
        upstreams.remember(recent.acknowledged)
        upstreams.take_up(recent.last)
        room = Room(
            hub=hub,
            log=log,
            name=name,
            build=__version__,
            heartbeat=config.heartbeat.interval,
            limits=session_limits(config),
            clock=time.monotonic,
            wall=time.time,
            desk=Desk(loop.call_soon, time.monotonic),
            archive=Archive(reader, lambda *reading: reading_source(readings.registry, *reading)),
            upstreams=upstreams,
            sender=upstreams,
            auth_deadline=config.auth.deadline,
            breaks=self._breaks(recent.broken, log.newest),
        )
        self.server = self._server(room, budget, volley)
        freshness = self.freshness = Freshness(
            hub.values,
            hub.wheel,
            newest=lambda: log.newest,
            limits=stale_after(config),
            steady=steady_by(readings),
            changed=messenger.freshness_changed,
            clock=time.monotonic,
            most=config.limits.last_values,
        )
        observers.all.append(freshness)
        room.standing.stale = freshness.stale
        freshness.start(loop.call_later)

    async def close(self, seconds: float) -> None:
        """However far `build` has come: the log stores what waits, for which it has so long, whatever its disk does."""
        if self.shared is not None:
            await self.shared.end()
        if self._reader is not None:
            self._reader.close()
        if self._log is not None:
            self._log.close(seconds)
        if self._volley is not None:
            self._volley.close()

    async def _history(self, hub: Hub, name: str) -> tuple[Log, Reader, Recent]:
        """The log behind the hub, opened, and what reads series from it; what an earlier run knew is taken up."""
        config = self.config
        made = make_log(
            config.history,
            state_dir=config.gateway.state_dir,
            memory=self.plan.history,
            sink=hub.take,
            loop=asyncio.get_running_loop(),
            name=name,
            busy=lambda: hub.busy,
            upstream=unsigned(config.upstream),
            parted=self._rename,
        )
        log = self._log = made.log
        self.shared = made.shared
        if made.shared is not None:
            await made.shared.begin()
        recent = log.open()
        hub.restore(recent.last, log.newest)
        reader = self._reader = made.reader()
        reader.start()
        return log, reader, recent

    def _breaks(self, known: int, newest: int) -> Breaks:
        """Where messages passed by upstream, as earlier runs knew it: viewers may come with offsets of theirs."""
        breaks = Breaks()
        if self.shared is None and self.config.history.disk is not None:
            file = LatestFile(self.config.gateway.state_dir / LOSSES, "upstream-losses")
            breaks = Breaks(lambda offset: file.write(b"%d\n" % offset))
            try:
                known = int(file.read() or -1)
            except (OSError, ValueError) as error:
                logger.warning("%s: losses of earlier runs are not known: %s", file.path, error)
        if 0 <= known <= newest:  # after a restored backup it may lie above
            breaks.recall(known)
        return breaks

    def _rename(self) -> None:
        """The log goes on in another epoch."""
        epoch = self.server.room.log.epoch
        self.server.rename(*dialects_of(self.config, epoch=epoch, readings=self.readings))

    def _server(self, room: Room, budget: Budget, volley: Volley) -> Server:
        config = self.config
        dialects, sse = dialects_of(config, epoch=room.log.epoch, readings=self.readings)
        server = Server(
            loop=asyncio.get_running_loop(),
            front=Front(
                access=access_of(config),
                judge=judge_of(config, clock=time.monotonic, wall=time.time),
                assets=static.load(),
                dialects=dialects,
                upstreams=self.upstreams,
            ),
            room=room,
            limits=server_limits(config, self.plan),
            bounds=bounds_of(config),
            budget=budget,
            volley=volley,
            sse=sse,
        )
        server.front.data.resources["/api/devices"] = Resource(
            "", lambda who, target: devices(room, self.readings, who)
        )
        return server
