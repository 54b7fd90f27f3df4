"""What the gateway is to the machine it runs on: a service that says it is ready, healthy, reloading, stopping."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Coroutine, MutableMapping
from typing import Any

from gateway.edge.api import status
from gateway.edge.visits import Resource
from gateway.errors import GatewayError
from gateway.lifecycle.answers import answers
from gateway.lifecycle.figures import Figures
from gateway.lifecycle.house import House
from gateway.lifecycle.reload import reload
from gateway.lifecycle.usage import history_of, memory_of
from gateway.lifecycle.vitals import checks, status_words
from gateway.operations import logs
from gateway.operations.control import Control, own_place
from gateway.operations.health import Health, Sentry
from gateway.operations.inherited import inherited
from gateway.operations.notify import Notifier
from gateway.pulse import until_beat

log = logging.getLogger("gateway")


class Service:
    """Made when all parts are there; `open` before they listen, `start` once they do.

    `stopping` when the end begins, `stop` at the end. `inherited` are the listening sockets that systemd passed on.
    """

    def __init__(self, house: House, *, environ: MutableMapping[str, str] = os.environ) -> None:
        self.inherited = inherited(environ)
        self.refused = ""
        self._house = house
        self._notifier = Notifier(environ)
        place = own_place(house.config.gateway.state_dir, environ)
        self.health = Health(
            self._notifier, status=self.words, checks=checks(house.server, house.upstreams, time.monotonic)
        )
        self.figures = Figures(house, self.health)
        house.server.room.hub.latency = self.figures.latency.observe
        house.server.front.data.resources["/metrics"] = self.figures.resource
        house.server.front.data.resources["/api/status"] = Resource(
            "gateway",
            lambda who, target: status(house.server, {"history": history_of(house), "memory": memory_of(house)}),
        )
        self._control = Control(place, answers(house, self)) if place is not None else None
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sentry: Sentry | None = None
        self._stopping = False

    async def open(self) -> None:
        """Answer on the control socket: whoever reaches a listener finds that open as well."""
        if self._control is None:
            text = "no control socket, so that top, explain, doctor and reload find no gateway"
            log.warning("%s: %s is no folder to write in", text, self._house.config.gateway.state_dir)
        else:
            try:
                await self._control.start()
            except GatewayError as error:
                log.warning("%s", error)
                self._control = None

    async def start(self) -> None:
        """Watch over all, and tell systemd that the listeners are up (whatever the brokers do)."""
        loop = asyncio.get_running_loop()
        self._spawn(self.health.run(), "health")
        self._spawn(_tick_log(), "log-ticker")
        if self._notifier.watchdog is not None:
            self._sentry = Sentry(self.health, self._notifier, limit=min(10.0, self._notifier.watchdog / 4))
            self._sentry.start()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._notifier.alive()
        self._notifier.ready(self.words())

    def stopping(self, seconds: float) -> None:
        """The end begins and may take `seconds`."""
        self._stopping = True
        clients = len(self._house.server.connections)
        self._notifier.stopping(f"stopping: {clients} clients within {seconds:g} s", seconds + 10.0)

    async def stop(self) -> None:
        """The parts have ended."""
        if self._control is not None:
            await self._control.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._sentry is not None:
            self._sentry.stop()

    async def reload(self) -> list[str]:
        """Read the configuration again; the keys that need a restart. Raises GatewayError, nothing has changed then."""
        async with self._reloading:
            self._notifier.reloading()
            try:
                left = await reload(self._house)
                self.refused, self.figures.reload_refused = "", False
            except GatewayError as error:
                self.refused, self.figures.reload_refused = str(error).splitlines()[0], True
                for line in str(error).splitlines():
                    log.error("reload refused: %s", line)
                raise
            finally:
                self._notifier.ready(self.words())
            return left

    def words(self) -> str:
        """How it goes, in a line."""
        if self._stopping:
            return f"stopping: {len(self._house.server.connections)} clients left"
        words = status_words(self._house.server, self._house.upstreams)
        return f"RELOAD REFUSED, going on as before: {self.refused}; {words}" if self.refused else words

    def _hung_up(self) -> None:
        async def quietly() -> None:
            try:
                await self.reload()
            except GatewayError:
                pass  # said in the log and in the status

        self._spawn(quietly(), "reload")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _tick_log() -> None:
    while True:
        await asyncio.sleep(until_beat(time.monotonic()))
        logs.tick(time.monotonic())
