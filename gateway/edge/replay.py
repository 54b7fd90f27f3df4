"""A replay on its way to one client: page by page, as fast as its socket takes them. Pure.

A replay answers a subscribe: first what the client asked for (last values, or a range of the log), then whatever came
in meanwhile, until nothing is missing; in that same moment the client joins its live audience. So nothing is lost and
nothing told twice, however long it takes.
"""

from collections.abc import Callable

from gateway.edge.commands import Id
from gateway.hub.audience import Subscription, View
from gateway.hub.log import BLOCK
from gateway.hub.message import Message
from gateway.topics import matches

ROUNDS = 8


class Replay:
    """One subscribe's replay.

    `cursor` is the offset up to which the log has been read, `target` the one to reach; messages above `since` that
    `already` wants come to the client live, by its older subscriptions, and are left out here. `snapshot` holds last
    values that have not been sent yet.
    """

    def __init__(
        self,
        id: Id,
        subscriptions: list[Subscription],
        *,
        denies: tuple[str, ...],
        cursor: int,
        target: int,
        snapshot: list[Message] | None = None,
        already: Callable[[str], bool] | None = None,
    ) -> None:
        self.id = id
        self.subscriptions = subscriptions
        self.cursor = cursor
        self.target = target
        self.snapshot = snapshot
        self.count = 0
        self.complete = True
        self.waiting = False
        self._denies = denies
        self._since = target
        self._already = already
        self._rounds = 0
        self._views: dict[str, View | None] = {}

    def view(self, topic: str) -> View | None:
        """What a replayed message of `topic` shows; None where it is not part of this replay."""
        try:
            return self._views[topic]
        except KeyError:
            pass
        mine = [s for s in self.subscriptions if matches(s.filter, topic)]
        view = None
        if mine and not any(matches(deny, topic) for deny in self._denies):
            view = View(any(s.readings for s in mine), any(s.data for s in mine), replay=True)
        if len(self._views) > 4096:
            self._views.clear()
        self._views[topic] = view
        return view

    def wants(self, message: Message) -> View | None:
        """The view under which `message` belongs to this replay, None where it does not."""
        if message.offset > self._since and self._already is not None and self._already(message.topic):
            return None
        return self.view(message.topic)

    def next_of_snapshot(self) -> list[Message]:
        """The next last values to send."""
        assert self.snapshot is not None
        page, rest = self.snapshot[:BLOCK], self.snapshot[BLOCK:]
        self.snapshot = rest or None
        return page

    def drop(self, filter: str) -> None:
        """The client unsubscribed from `filter` before its replay ended."""
        self.subscriptions = [s for s in self.subscriptions if s.filter != filter]
        self._views.clear()

    def chase(self, newest: int) -> bool:
        """At the target: whether to go on after what came in meanwhile, rather than to hand over now.

        A client that is slower than the stream would chase it for ever: after a few rounds the rest goes into its
        outbox at once, where the policy for slow consumers rules.
        """
        if newest - self.target <= BLOCK or self._rounds >= ROUNDS:
            return False
        self._rounds += 1
        self.target = newest
        return True
