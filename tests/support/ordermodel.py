"""The stateful model of order: publish, subscribe, resume, slow, drop, restart, with books that have to balance.

It runs over a log in memory; a subclass says what other log there is.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.accounts import FREE, House
from support.books import Books

from gateway.hub.outbox import Bounds, Policy

TOPICS = ("a/x", "a/y", "b", "alarm")
FILTERS = ("a/+", "#", "b", "alarm", "a/x")
WAYS = (("all", 0.0), ("all", 0.0), ("latest", 0.0), ("all", 0.3), ("latest", 3.0))
WISHES = ("none", "last", {"count": 1}, {"count": 20}, {"count": 400})


class Accounts(RuleBasedStateMachine):
    """Two clients: the first begins with every message, the second as the example says; both may want more, or less."""

    house: House
    clients: list[Books]

    def make_house(self, **options: Any) -> House:
        """The gateway, over the log that is to be tried."""
        return House(**options)

    @initialize(
        policy=st.sampled_from(list(Policy)),
        soft=st.sampled_from((500, 3000, 1 << 20)),
        ring=st.sampled_from((1 << 24, 30_000)),
        total=st.sampled_from((float("inf"), 8000.0)),
        late=st.sampled_from((None, None, 400)),
        way=st.sampled_from(WAYS),
        volley=st.booleans(),
        filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=2, unique=True),
    )
    def begin(self, policy, soft, ring, total, late, way, volley, filters):
        bounds = Bounds(policy=policy, soft=soft, hard=3 * soft, patience=20.0)
        self.house = self.make_house(bounds=bounds, ring=ring, total=total, late=late, volley=volley)
        self.clients = [self.house.client("all", 0.0), self.house.client(*way)]
        self.clients[0].connect(["#"])
        self.clients[1].connect(filters)

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=8),
        times=st.sampled_from((1, 1, 3, 15, 40)),
        size=st.sampled_from((1, 60)),
    )
    def publish(self, topics, times, size):
        self.house.publish(topics * times, size)

    @rule(topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4), size=st.sampled_from((1, 60)))
    def trickle(self, topics, size):
        """Each message in a turn of its own: the way of those who are alone in their audience."""
        for topic in topics:
            self.house.publish([topic], size)
            self.house.turn()

    @rule(turns=st.sampled_from((1, 3)))
    def turn(self, turns):
        for _ in range(turns):
            self.house.turn()

    @rule(seconds=st.sampled_from((1, 6)))
    def sleep(self, seconds):
        self.house.sleep(seconds)

    @rule(number=st.integers(0, 1), credit=st.sampled_from((0, 50, 700, 5000, FREE)))
    def slow(self, number, credit):
        line = self.clients[number].line
        if line is not None and line.alive:
            line.credit = credit
            line.pump()

    @rule(number=st.integers(0, 1))
    def drop(self, number):
        line = self.clients[number].line
        if line is not None:
            line.drop()

    @rule(number=st.integers(0, 1), filter=st.sampled_from(FILTERS), points=st.sampled_from((None, None, 3)))
    def resume(self, number, filter, points):
        if not self.clients[number].connected:
            self.clients[number].connect([filter], points)

    @rule(
        number=st.integers(0, 1),
        filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=2, unique=True),
        wish=st.sampled_from(WISHES),
        way=st.sampled_from(WAYS),
    )
    def subscribe(self, number, filters, wish, way):
        if self.clients[number].connected:
            self.clients[number].subscribe(filters, wish, *way)

    @rule(number=st.integers(0, 1), filter=st.sampled_from(FILTERS))
    def unsubscribe(self, number, filter):
        if self.clients[number].connected:
            self.clients[number].unsubscribe(filter)

    @rule()
    def restart(self):
        self.house.restart()

    @rule()
    def settle(self):
        self.house.settle()

    def teardown(self):
        if hasattr(self, "house"):
            self.house.settle()
            for client in self.clients:
                if client.line is not None:
                    client.line.drop()
            assert self.house.budget.size == 0
