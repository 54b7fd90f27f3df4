"""The parts of a running gateway, as those see them who deal with all of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from gateway.config import Config
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.server import Server
from gateway.hub.freshness import Freshness
from gateway.hub.readings import Readings
from gateway.logs.choose import SharedLog
from gateway.memory import MemoryPlan
from gateway.upstream.upstreams import Upstreams


class House(Protocol):
    """The daemon. `path` is where its configuration came from, None without a file; `plan` is its memory.

    `begun` is the configuration that it was started with, `config` the one of the last reload.
    """

    path: Path | None
    begun: Config
    config: Config
    plan: MemoryPlan
    server: Server
    upstreams: Upstreams
    shared: SharedLog | None
    readings: Readings
    freshness: Freshness

    def dialects(self) -> tuple[Mapping[str, Callable[[], Dialect]], Dialect]:
        """What clients may speak, by the configuration as it is now; and how Server-Sent Events are written."""
