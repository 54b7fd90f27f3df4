"""Where messages go: from a topic to the audiences that its filters bring, found at its first message and kept."""

from collections.abc import Callable, Hashable, Iterable

from gateway.hub.audience import Audience
from gateway.hub.lastvalues import Encode, LastValues, Routes, Topic
from gateway.hub.pace import Pace
from gateway.hub.row import Viewer
from gateway.hub.subscription import View
from gateway.topics import Trie, matches

REROUTE = 4000  # filters times topics that a change of subscriptions may look at


class Router:
    """The filters of all audiences, and the ways of the topics in `values`.

    `keeps` tells topics whose messages are never merged, `clock` is monotonic seconds. `unpaced` counts how often a
    topic went to viewers as it came, for want of room for another interval.
    """

    def __init__(self, values: LastValues, *, keeps: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self.unpaced = 0
        self._values = values
        self._keeps = keeps
        self._clock = clock
        self._trie: Trie[Audience] = Trie()
        self._group: tuple[Hashable, View] | None = None  # the newest audience's
        self._paced: set[Audience] = set()
        self._room_at = float("-inf")

    def add(self, audience: Audience) -> None:
        """Let `audience` have what its filters bring, from the next message on."""
        if audience.group == self._group:
            audience.group = self._group
        else:
            self._group = audience.group
        if audience.pacer is not None:
            self._paced.add(audience)
        self._trie.add_all(audience.key.filters, audience)
        self._reroute(audience.key.filters)

    def remove(self, audience: Audience) -> None:
        """Bring `audience` nothing any more."""
        self._paced.discard(audience)
        self._trie.remove_all(audience.key.filters, audience)
        self._reroute(audience.key.filters)

    def followers(self, topic: str) -> list[Viewer]:
        """Whoever gets the messages of `topic`."""
        found: list[Viewer] = []
        for audience in self._trie.match(topic):
            if not any(matches(deny, topic) for deny in audience.key.denies):
                found += audience.members
        return found

    def route(self, topic: Topic, name: str) -> Routes:
        """Find the way of the messages of `topic`, which is called `name`."""
        grouped: dict[tuple[Hashable, View], tuple[Encode, list[Audience]]] = {}
        paces: list[Pace] = []
        kept = self._keeps(name)
        shared: tuple[Hashable, View] | None = None
        sharing: list[Audience] = []
        if self._values.paces.count >= self._values.paces.most:
            self._make_room(self._clock())
        for audience in self._trie.match(name):
            # Nearly all of a thousand have one group object: nothing is hashed for them.
            if audience.plain and audience.group is shared:
                sharing.append(audience)
                continue
            denies = audience.key.denies
            if denies and any(matches(deny, name) for deny in denies):
                continue
            form = audience.group or audience.group_of(name)
            group = grouped.get(form)
            if group is None:
                group = grouped[form] = (audience.variant.encoder(name, form[1]), [])
            pacer = audience.pacer
            interval = audience.interval(name) if pacer is not None and not kept else 0.0
            if pacer is not None:
                pace = pacer.pace(name, group[0], interval) if interval else None
                if pace is not None:
                    paces.append(pace)
                    continue
                if interval:
                    # Rather more messages than asked for, of which a slow viewer is spared, than memory without end.
                    self.unpaced += 1
                pacer.free(name)
            group[1].append(audience)
            if audience.plain:
                shared, sharing = audience.group, group[1]
        routes = [group for group in grouped.values() if group[1]]
        self._values.route(topic, routes, paces)
        return routes

    def _make_room(self, now: float) -> None:
        """Let go the paces whose interval is over; once a second at most."""
        if now >= self._room_at:
            self._room_at = now + 1.0
            self._values.unroute()
            for audience in self._paced:
                if audience.pacer is not None:
                    audience.pacer.purge(now)

    def _reroute(self, filters: Iterable[str]) -> None:
        """Forget the routes of every topic that one of `filters` matches."""
        values = self._values
        wild = []
        for filter in filters:
            topic = values.get(filter)
            if topic is not None:
                values.unroute((topic,))
            elif "+" in filter or "#" in filter:
                wild.append(filter)
        if not wild:
            return
        if "#" in wild or len(wild) * len(values) > REROUTE:
            # Cheaper than to look which are meant, and no client can make it dear: the others find their way again
            # with their next message.
            values.unroute()
            return
        values.unroute(
            topic for name, topic in values.items() if topic.routes is not None and any(matches(f, name) for f in wild)
        )
