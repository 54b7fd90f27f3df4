"""Nothing is lost silently where the log is a stream: the model of order, over gateways that die and take over.

The same examples in every run; with `SENSOR_GATEWAY_EXAMPLES` so many new ones.
"""

import os
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from support.ordermodel import TOPICS, Accounts
from support.streamhouse import stream_houses

DRAWN = os.environ.get("SENSOR_GATEWAY_EXAMPLES")


class StreamAccounts(Accounts):
    """Offsets go on where a gateway ends, and begin anew with the stream only."""

    def __init__(self, nats):
        super().__init__()
        self._stack = ExitStack()
        self.make_house = self._stack.enter_context(stream_houses(nats))

    @rule(anew=st.sampled_from((False, False, True)))
    def restart(self, anew):
        if anew:
            self.house.restart()
        else:
            self.house.take_over()

    @rule(
        topics=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=8),
        times=st.sampled_from((3, 40, 90)),
        dies=st.booleans(),
        left=st.sampled_from((None, None, 1, 50)),
    )
    def miss(self, topics, times, dies, left):
        """Both are away while much happens, and resume where they were."""
        self.house.settle()
        for client in self.clients:
            if client.connected:
                client.line.drop()
        self.house.publish(topics * times, 1)
        if left is not None:
            self.house.expire(left)
        if dies:
            self.house.take_over()
        for client in self.clients:
            client.connect(["#"])

    @rule(left=st.sampled_from((0, 1, 50)))
    def expire(self, left):
        self.house.expire(left)

    @rule()
    def tell(self):
        self.house.tell()

    def teardown(self):
        with self._stack:
            super().teardown()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_books_balance_whoever_serves_and_whatever_the_stream_still_holds(shared_nats, examples):
    run_state_machine_as_test(
        lambda: StreamAccounts(shared_nats),
        settings=settings(
            max_examples=int(DRAWN or examples),
            stateful_step_count=20,
            deadline=None,
            derandomize=DRAWN is None,
            phases=[Phase.generate],  # shorter failures are not worth what a server's answers would take
            suppress_health_check=list(HealthCheck),
        ),
    )
