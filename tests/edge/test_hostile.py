"""A single client that asks for much must not take the gateway from everybody else."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.edge import Edge, receive, say

from gateway.topics import FEW, any_of, matches, validate_filter


def _valid(text: str) -> bool:
    try:
        validate_filter(text)
    except ValueError:
        return False
    return True


levels = st.sampled_from(["a", "b", "+", "#", "$x", ""])
filters = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(_valid)
topics = st.lists(st.sampled_from(["a", "b", "$x", ""]), min_size=1, max_size=4).map("/".join).filter(bool)


@settings(max_examples=300, deadline=None)
@given(st.lists(filters, max_size=3 * FEW), topics)
def test_many_filters_match_what_one_of_them_matches(many, topic):
    assert any_of(tuple(many))(topic) == any(matches(filter, topic) for filter in many)


@pytest.mark.timing
@pytest.mark.parametrize("replay", ["last", "none", {"count": 100_000}, {"age": 600}])
async def test_a_hundred_wild_filters_over_many_topics_cost_no_more_than_a_moment(replay):
    """Each subscribe once looked at every topic with every filter: 16 seconds in which nobody else was served."""
    async with Edge() as edge:
        for number in range(20_000):
            edge.publish(f"site/{number % 50}/area/{number % 400}/device/{number}/value", "1")
        wild = [f"site/+/area/+/device/+/x{number}" for number in range(100)]
        async with edge.connect() as client:
            await receive(client, "welcome")
            began = time.process_time()
            await say(client, type="subscribe", id=1, topics=wild, replay=replay)
            await receive(client, "ok", 30)
            if replay != "none":
                await receive(client, "replayed", 30)
            await say(client, type="unsubscribe", id=2, topics=wild)
            while "unsubscribed" not in await receive(client, "ok", 30):
                pass
            assert time.process_time() - began < 2.0
