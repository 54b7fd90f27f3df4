"""Nothing is lost silently: whatever is published, and however clients come, lag, drop and resume, the books balance.

2,000 examples here, the same in every run, so that a run judges the change and not its luck; with
`SENSOR_GATEWAY_EXAMPLES=100000` a soak draws new ones.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.accounts import FREE, Books, House

from gateway.hub.outbox import Bounds, Policy

TOPICS = ("a/x", "a/y", "b", "alarm")
FILTERS = ("a/+", "#", "b", "alarm", "a/x")
EXAMPLES = int(os.environ.get("SENSOR_GATEWAY_EXAMPLES", "2000"))


class Accounts(RuleBasedStateMachine):
    """Two clients: `full` wants every message, `thin` what the example says."""

    house: House
    clients: list[Books]

    @initialize(
        policy=st.sampled_from(list(Policy)),
        soft=st.sampled_from((500, 3000, 1 << 20)),
        ring=st.sampled_from((1 << 24, 30_000)),
        total=st.sampled_from((float("inf"), 8000.0)),
        mode=st.sampled_from(("all", "latest")),
        interval=st.sampled_from((0.0, 0.3, 3.0)),
        filter=st.sampled_from(FILTERS),
    )
    def begin(self, policy, soft, ring, total, mode, interval, filter):
        bounds = Bounds(policy=policy, soft=soft, hard=3 * soft, patience=20.0)
        self.house = House(bounds=bounds, ring=ring, total=total)
        self.clients = [self.house.client("all", 0.0), self.house.client(mode, interval)]
        self.clients[0].connect(["#"])
        self.clients[1].connect([filter])

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=8),
        times=st.sampled_from((1, 1, 3, 15)),
        size=st.sampled_from((1, 60)),
    )
    def publish(self, topics, times, size):
        self.house.publish(topics * times, size)

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

    @rule(number=st.integers(0, 1), filter=st.sampled_from(FILTERS))
    def resume(self, number, filter):
        if not self.clients[number].connected:
            self.clients[number].connect([filter])

    @rule(number=st.integers(0, 1), filter=st.sampled_from(FILTERS), wish=st.sampled_from(("none", "last")))
    def more(self, number, filter, wish):
        if self.clients[number].connected:
            self.clients[number].more(filter, wish)

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


TestAccounts = pytest.mark.timeout(60 + EXAMPLES // 5)(Accounts.TestCase)
TestAccounts.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    derandomize="SENSOR_GATEWAY_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
