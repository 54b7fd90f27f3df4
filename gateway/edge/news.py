"""What stands now (stale topics, devices that came or went), told to one client behind each new snapshot. Pure."""

from collections.abc import Set
from typing import Protocol

from gateway.edge import events
from gateway.edge.frames import Desk
from gateway.edge.roles import Role, may_see
from gateway.edge.standing import Standing, Telling
from gateway.hub.subscription import filter_of
from gateway.topics import matches


class Client(Protocol):
    """Who is told."""

    @property
    def role(self) -> Role | None:
        """What it may see; None before it has signed in."""

    @property
    def ready(self) -> bool:
        """Whether its socket takes more."""

    def tell(self, event: events.Event) -> None:
        """Tell the client."""


class News:
    """`owe` for a new subscription, `tell` once its snapshot is through; subscriptions go by their keys."""

    __slots__ = ("_client", "_desk", "_owed", "_standing", "_telling")

    def __init__(self, client: Client, standing: Standing, desk: Desk) -> None:
        self._client = client
        self._standing = standing
        self._desk = desk
        self._owed: set[str] = set()
        self._telling: list[Telling] = []

    def owe(self, key: str) -> None:
        """The client has a new subscription."""
        self._owed.add(key)

    def tell(self, live: Set[str], held: Set[str]) -> None:
        """Tell what stands for those of the `live` ones that were owed it; those of `held` still wait."""
        due = self._owed - held
        self._owed -= due
        due &= live
        role = self._client.role
        if role is None or not due:
            return
        filters = {filter_of(key) for key in due}

        def wanted(topic: str) -> bool:
            return any(matches(filter, topic) for filter in filters) and may_see(role, topic)

        told = self._standing.told(wanted)
        self._telling.append(Telling(told, self._client.tell, lambda: self._client.ready))
        self.wake()

    def wake(self) -> None:
        """The socket takes more."""
        if not self._telling:
            return
        self._telling = [telling for telling in self._telling if not telling.over]
        for telling in self._telling:
            self._desk.add(telling)

    def end(self) -> None:
        """The client is gone."""
        self._owed.clear()
        self._telling.clear()
