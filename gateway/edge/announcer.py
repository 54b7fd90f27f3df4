"""Tells clients what is nobody's answer: links to brokers, devices, topics that fall silent."""

from collections.abc import Callable, Mapping

from devices.reading import DeviceState
from gateway.edge import events
from gateway.edge.breaks import UPSTREAM
from gateway.edge.connection import Connection
from gateway.edge.room import Room
from gateway.edge.session import Session
from gateway.edge.standing import event_of
from gateway.hub.freshness import Change
from gateway.hub.log import EXPIRED
from gateway.hub.ports import UpstreamState


class Announcer:
    """`connections` are those of the server, as they come and go."""

    def __init__(self, connections: Mapping[int, Connection], room: Room) -> None:
        self._connections = connections
        self._room = room

    def upstream_changed(self, state: UpstreamState) -> None:
        """Tell every client about a link to a broker."""
        self._everybody(lambda session: session.upstream_changed(state))

    def clock_judged(self, suspect: bool) -> None:
        """Whether the wall clock is suspected to be wrong; every client is told when that changes."""
        state = "suspect" if suspect else "ok"
        if state == self._room.clock_state:
            return
        self._room.clock_state = state
        self._everybody(lambda session: session.clock_changed())

    def upstream_gap(self, name: str) -> None:
        """Tell every client, also those who are away, that messages were lost upstream, nobody can know how many."""
        newest = self._room.log.newest
        self._room.breaks.note(newest)
        gap = events.Gap(from_=newest + 1, to=newest, count=None, topics={}, reason=UPSTREAM)
        self._everybody(lambda session: session.tell(gap))

    def history_gap(self, first: int, last: int) -> None:
        """Tell every client that messages were deleted before this gateway had them."""
        gap = events.Gap(from_=first, to=last, count=None, topics={}, reason=EXPIRED)
        self._everybody(lambda session: session.tell(gap))

    def device_changed(self, topic: str, state: DeviceState) -> None:
        """Tell those who follow `topic` that its device came or went."""
        said = events.Device(
            device=state.device, state="online" if state.online else "offline", since=self._room.wall()
        )
        self._room.standing.device(topic, said)

        def tell(session: Session) -> None:
            if session.follows(topic):
                session.tell(said)

        self._everybody(tell)

    def freshness_changed(self, change: Change) -> None:
        """Tell those who get the messages of a topic that it went silent, or speaks again."""
        said = event_of(change)
        for viewer in self._room.hub.followers(change.topic):
            session = getattr(viewer, "session", None)
            if session is not None and session.follows(change.topic):
                session.tell(said)

    def _everybody(self, tell: Callable[[Session], None]) -> None:
        for connection in list(self._connections.values()):  # telling one may end another
            connection.converse(tell)
