"""What happens in one wing and viewers are told in another: links, devices, topics that fall silent."""

from collections.abc import Callable
from typing import Protocol

from devices.reading import DeviceState
from gateway.edge.server import Server
from gateway.hub.freshness import Change
from gateway.hub.ports import UpstreamState
from gateway.logs.choose import SharedLog
from gateway.upstream.upstreams import Upstreams


class Parts(Protocol):
    """Who tells, and who is told. They may come into being after their messenger, before there is anything to tell."""

    server: Server
    upstreams: Upstreams
    shared: SharedLog | None


class Messenger:
    """The listener of the links, and whom the hub's observers tell. `soon` runs a function in the loop's next turn.

    The hub's wait for that: it is in the middle of a turn's messages, and telling a client may let it join an audience.
    """

    def __init__(self, parts: Parts, soon: Callable[..., object]) -> None:
        self._parts = parts
        self._soon = soon

    def upstream_changed(self, state: UpstreamState) -> None:
        """A link changed its state: every viewer is told."""
        server, suspect = self._parts.server, self._parts.upstreams.clock_suspect
        server.room.log.suspect = suspect
        server.announcer.clock_judged(suspect)
        server.announcer.upstream_changed(state)

    def upstream_gap(self, name: str) -> None:
        """A link lost messages that nobody can count: every viewer is told, on every gateway."""
        parts = self._parts
        if parts.shared is None:
            parts.server.announcer.upstream_gap(name)
        elif parts.upstreams.follows(name):
            parts.shared.tell_gap(name)

    def freshness_changed(self, change: Change) -> None:
        """A topic fell silent, or speaks again: those who get its messages are told."""
        self._soon(self._parts.server.announcer.freshness_changed, change)

    def device_changed(self, topic: str, state: DeviceState) -> None:
        """A device came or went: those who follow `topic` are told."""
        self._soon(self._parts.server.announcer.device_changed, topic, state)
