"""What all sessions share."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.edge.breaks import Breaks
from gateway.edge.credentials import Identity, Refusal
from gateway.edge.frames import Desk
from gateway.edge.history import Archive
from gateway.edge.standing import Standing
from gateway.hub.hub import Hub
from gateway.hub.log import Log
from gateway.hub.ports import UpstreamSender, UpstreamStatus


class SessionLimits(msgspec.Struct, frozen=True):
    """What one client may ask for."""

    subscriptions: int = 100
    commands_per_second: float = 20.0
    message_size: int = 64 * 1024


class Visitor(Protocol):
    """A session as its credentials are judged."""

    id: str
    address: str
    identity: Identity | None


class Room(msgspec.Struct):
    """What all sessions share; the daemon fills it. `clock` is monotonic seconds, `wall` Unix seconds.

    `desk` is where replays take their turns. `authenticate` judges a token: the role, or the sentence that refuses it.
    `clock_state` is "ok" or "suspect". `archive` is where numbers of the past are asked for. `refused` counts commands
    that were refused, by the code of their error. `breaks` are where messages passed by upstream.
    """

    hub: Hub
    log: Log
    name: str
    build: str
    heartbeat: float
    limits: SessionLimits
    clock: Callable[[], float]
    wall: Callable[[], float]
    desk: Desk
    upstreams: UpstreamStatus
    sender: UpstreamSender | None = None
    authenticate: Callable[[Visitor, str], Identity | Refusal] | None = None
    auth_methods: tuple[str, ...] = ()
    auth_deadline: float = 10.0
    clock_state: str = "ok"
    standing: Standing = msgspec.field(default_factory=Standing)
    archive: Archive | None = None
    breaks: Breaks = msgspec.field(default_factory=Breaks)
    refused: Counter[str] = msgspec.field(default_factory=Counter)

    def now(self) -> float:
        """The gateway's clock as clients see it: Unix seconds, to the millisecond."""
        return round(self.wall(), 3)
