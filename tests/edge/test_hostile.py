"""A single client that asks for much must not take the gateway from everybody else."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.edge import Edge, receive, say
from websockets.exceptions import ConnectionClosed

from gateway.edge.admission import ServerLimits
from gateway.edge.dialects.native import NativeJson
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


class Trapped(NativeJson):
    """The native protocol with faults in it."""

    def commands(self, data, *, text):
        if data == b"trap":
            raise ZeroDivisionError("in a command")
        self.armed = data == b"arm"
        return super().commands(data, text=text)

    def beat(self, now):
        if getattr(self, "armed", False):
            raise ZeroDivisionError("in a beat")
        return super().beat(now)


@pytest.mark.parametrize("word", ["trap", "arm"])
async def test_a_fault_of_ours_costs_one_client_and_nobody_else(word, caplog):
    """The first exception in a beat ended the looking after of everybody: no pings, no deadlines, until a restart."""
    limits = ServerLimits(interval=0.5, timeout=0.5)
    async with Edge(dialects={"": Trapped}, limits=limits) as edge, edge.connect() as other:
        async with edge.connect() as client:
            await receive(client, "welcome")
            await client.send(word)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await client.recv()
            assert closed.value.rcvd.code == 1011
        assert edge.server.counts["fault"] == 1
        assert "ZeroDivisionError" in caplog.text
        await receive(other, "welcome")
        [connection] = edge.server.connections.values()
        connection.rtt = None
        async with asyncio.timeout(5):
            while connection.rtt is None:  # noqa: ASYNC110 - the answer to a ping has no event here
                await asyncio.sleep(0.01)
