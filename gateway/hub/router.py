"""Where messages go: from a topic to the audiences that its filters bring, found at its first message and kept."""

from collections.abc import Callable, Iterable, Iterator

from gateway.hub.audience import Audience
from gateway.hub.lastvalues import LastValues, Topic
from gateway.hub.pace import Pace
from gateway.hub.row import Turnover, Viewer
from gateway.hub.subscription import Variant, View
from gateway.hub.way import Way
from gateway.topics import Trie, matches

GROUPS = 8  # of audiences for whom messages look alike, each with a tree of its own
REROUTE = 4000  # filters times topics that a change of subscriptions may look at


Group = tuple[Variant, View]


class Router:
    """The filters of all audiences, and the ways of the topics in `values`.

    `keeps` tells topics whose messages are never merged, `clock` is monotonic seconds, `turnover` is that of all
    audiences. `unpaced` counts how often a topic went to viewers as it came, for want of room for another interval.
    """

    def __init__(
        self, values: LastValues, *, keeps: Callable[[str], bool], clock: Callable[[], float], turnover: Turnover
    ) -> None:
        self.unpaced = 0
        self._values = values
        self._keeps = keeps
        self._clock = clock
        self._turnover = turnover
        self._alike: dict[Group, Trie[Audience]] = {}  # plain audiences: to find their way none of them is looked at
        self._others: Trie[Audience] = Trie()
        self._paced: set[Audience] = set()
        self._room_at = float("-inf")

    def add(self, audience: Audience) -> None:
        """Let `audience` have what its filters bring, from the next message on."""
        trie, group = self._others, audience.group
        if audience.plain and group is not None:
            trie = self._alike.get(group, trie)
            if trie is self._others and len(self._alike) < GROUPS:
                trie = self._alike[group] = Trie()
        if audience.pacer is not None:
            self._paced.add(audience)
        trie.add_all(audience.key.filters, audience)
        self._reroute(audience.key.filters)

    def remove(self, audience: Audience) -> None:
        """Bring `audience` nothing any more."""
        self._paced.discard(audience)
        group = audience.group
        # One of a group that came when there were too many stays with the others.
        if group is not None and (trie := self._alike.get(group)) is not None:
            trie.remove_all(audience.key.filters, audience)
            if not len(trie):
                del self._alike[group]
        self._others.remove_all(audience.key.filters, audience)
        self._reroute(audience.key.filters)

    def followers(self, topic: str) -> list[Viewer]:
        """Whoever gets the messages of `topic`."""
        found: list[Viewer] = []
        for audience in self._match(topic):
            if not any(matches(deny, topic) for deny in audience.key.denies):
                found += audience.members
        return found

    def route(self, topic: Topic, name: str) -> list[Way]:
        """Find the way of the messages of `topic`, which is called `name`."""
        grouped: dict[Group, Way] = {}
        paces: list[Pace] = []
        kept = self._keeps(name)
        if self._values.paces.count >= self._values.paces.most:
            self._make_room(self._clock())
        for group, trie in self._alike.items():
            if found := trie.match(name):
                way = grouped[group] = self._way(group, name)
                way.audiences += found
        for audience in self._others.match(name):
            denies = audience.key.denies
            if denies and any(matches(deny, name) for deny in denies):
                continue
            form = audience.group or (audience.variant, audience.key.view(name))
            known = grouped.get(form)
            way = grouped[form] = self._way(form, name) if known is None else known
            pacer = audience.pacer
            interval = audience.key.interval(name) if pacer is not None and not kept else 0.0
            if pacer is not None:
                pace = pacer.pace(name, way.encode, interval) if interval else None
                if pace is not None:
                    paces.append(pace)
                    continue
                if interval:
                    # Rather more messages than asked for, of which a slow viewer is spared, than memory without end.
                    self.unpaced += 1
                pacer.free(name)
            way.audiences.append(audience)
        routes = [way for way in grouped.values() if way.audiences]
        self._values.route(topic, routes, paces)
        return routes

    def _way(self, group: Group, name: str) -> Way:
        variant, view = group
        return Way(variant.encoder(name, view), self._turnover)

    def _match(self, topic: str) -> Iterator[Audience]:
        for trie in (*self._alike.values(), self._others):
            yield from trie.match(topic)

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
