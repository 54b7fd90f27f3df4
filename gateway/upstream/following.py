"""What a link follows: the filters that it asks for, what the broker granted, the names of the topics that come."""

from collections.abc import Sequence

from gateway.config import Upstream, UpstreamTopic
from gateway.upstream.held import Held
from gateway.upstream.names import TopicNames
from gateway.upstream.session import Session
from gateway.upstream.subscriptions import Grant, refusals, summary, wanted


class Following:
    """Kept over connections, so that a topic is the very same str as long as the settings stand.

    `durable`: QoS 2 filters are subscribed at QoS 1. `own` is the topic of the link's probe, or empty. `held` remembers
    what brokers' sessions hold.
    """

    def __init__(self, settings: Upstream, *, durable: bool, own: str, held: Held) -> None:
        self.grants: Sequence[Grant] = ()
        self._durable = durable
        self._held = held
        self._held_by = ""
        self.take_over(settings, own)

    def take_over(self, settings: Upstream, own: str) -> None:
        """Other settings: `names` and `wanted` are theirs from now on."""
        topics = [(topic.filter, topic.exclude) for topic in settings.topics]
        self.names = TopicNames(settings.name, settings.prefix, topics, own.encode())
        self.own = own
        self._topics = settings.topics
        self._probe = own if all(topic.filter != own for topic in settings.topics) else ""

    def wanted(self) -> list[tuple[str, int]]:
        """Filters with the QoS to ask for."""
        return self._wanted(self._topics)

    def take_up(self, session: Session, held_by: str, *, kept: bool) -> None:
        """Connected: of a broker's session that was `kept`, let go of what is wanted no more.

        `held_by` tells the session: a client id at a broker.
        """
        self._held_by = held_by
        session.unsubscribe(self._held.begin(held_by, self._filters(), kept=kept))

    async def subscribe(self, session: Session, *, session_present: bool) -> None:
        """Ask for everything. Raises UpstreamError."""
        self.grants = await session.subscribe(self.wanted(), session_present=session_present)
        self._held.settle(self._held_by, self._filters())

    @property
    def is_all_refused(self) -> bool:
        """Whether the broker granted nothing of what viewers shall get."""
        grants = [grant for grant in self.grants if grant.filter != self._probe]
        return bool(grants) and all(grant.qos is None for grant in grants)

    @property
    def is_probe_refused(self) -> bool:
        """Whether the broker lets the link's own probe not come back to it."""
        return any(grant.filter == self._probe and grant.qos is None for grant in self.grants)

    async def change(self, session: Session, before: Sequence[UpstreamTopic]) -> None:
        """Within the connection: new filters subscribed, those gone unsubscribed. Raises UpstreamError."""
        old, new = dict(self._wanted(before)), dict(self.wanted())
        session.rename(self.names)
        self._held.begin(self._held_by, self._filters(), kept=True)
        session.unsubscribe([filter for filter in old if filter not in new])
        fresh = [(filter, qos) for filter, qos in new.items() if old.get(filter) != qos]
        answers = await session.subscribe(fresh, session_present=False)
        # Only now: another change, made just before this one, may have waited for its own answers.
        grants = {grant.filter: grant for grant in (*self.grants, *answers)}
        self.grants = [grants[filter] for filter in new if filter in grants]
        self._held.settle(self._held_by, self._filters())

    def may_lack(self, session_present: bool) -> bool:
        """Whether something that viewers should have may have passed while there was no connection.

        Without a session all of it, with one what comes at QoS 0, which no session keeps; the link's own probe is
        nobody's loss.
        """
        wanted = [qos for filter, qos in self.wanted() if filter != self._probe]
        granted = [grant.qos for grant in self.grants if grant.filter != self._probe]
        return bool(wanted) and (not session_present or 0 in wanted or 0 in granted)

    def summary(self) -> str:
        """What is followed, for the log."""
        return summary(self.grants)

    def refusals(self) -> str:
        """One sentence about the filters that were refused; empty where none was."""
        return refusals(self.grants)

    def _filters(self) -> list[str]:
        return [filter for filter, _ in self.wanted()]

    def _wanted(self, topics: Sequence[UpstreamTopic]) -> list[tuple[str, int]]:
        return wanted(topics, durable=self._durable, own=self.own)
