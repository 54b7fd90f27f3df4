"""What clients that resume are owed, over a JetStream log."""

import asyncio
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.conformance import asked, message
from support.edge import Edge, receive, say
from support.handover import OPERATIONS, TURNS, loses_nothing_and_repeats_nothing, stays_in_order
from support.jetstream import Streams, settled
from support.replaying import ReplayConformance
from support.streamtalk import stream_talks


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS, st.sampled_from((None, 0, 400)))
def test_the_hand_over_from_replay_to_live_loses_nothing_and_repeats_nothing(shared_nats, operations, late):
    with stream_talks(shared_nats) as make:
        loses_nothing_and_repeats_nothing(make(late=late), operations)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(TURNS, st.sampled_from((None, 0, 100)))
def test_one_subscription_sees_offsets_in_order_under_concurrent_publishing(shared_nats, operations, late):
    with stream_talks(shared_nats) as make:
        stays_in_order(make(late=late), operations)


@pytest.fixture
def make_talk(shared_nats):
    with stream_talks(shared_nats) as make:
        yield make


class TestReplaysFromAStream(ReplayConformance):
    @pytest.fixture(autouse=True)
    def over_a_stream(self, make_talk):
        self.make_talk = make_talk


def test_what_the_stream_has_discarded_is_named_and_last_values_are_told_behind_the_gap(make_talk):
    talk = make_talk(late=0)
    talk.publish("silent")
    talk.publish("t", count=1000)
    talk.publish("quiet")
    talk.publish("t", count=1000)
    talk.expire(1500)
    talk.say(type="subscribe", id=1, topics=["#"], replay={"epoch": talk.log.epoch, "offset": 0})
    talk.settle()
    [gap] = talk.of("gap")
    assert (gap["from"], gap["to"], gap["count"], gap["reason"]) == (1, 1499, None, "history-expired")
    kinds = [each["type"] for each in talk.told]
    assert kinds.index("gap") < kinds.index("message")
    assert talk.offsets == [1, 1002, *range(1500, 2003)]
    assert [each["complete"] for each in talk.of("replayed")] == [False]


def test_the_last_so_many_begin_with_no_gap_where_there_are_no_more(make_talk):
    talk = make_talk(late=0)
    talk.publish("t", count=100)
    talk.expire(61)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"count": 90})
    talk.settle()
    assert talk.offsets == list(range(61, 101))
    assert talk.of("gap") == []
    assert [each["complete"] for each in talk.of("replayed")] == [True]


@pytest.mark.parametrize("late", [None, 0])
def test_offsets_of_what_gateways_tell_each_other_are_no_gap(make_talk, late):
    talk = make_talk(late=late)
    for _ in range(3):
        talk.publish("t")
        talk.tell()
    talk.publish("t", count=2)
    talk.say(type="subscribe", id=1, topics=["t"], replay={"epoch": talk.log.epoch, "offset": 0})
    talk.settle()
    assert talk.offsets == [1, 3, 5, 7, 8]
    assert talk.of("gap") == []
    assert [each["complete"] for each in talk.of("replayed")] == [True]


async def test_a_replay_by_age_begins_where_the_stream_says(streams):
    times = []
    log = await streams.log(limit=0, wall=lambda: times[-1])
    log.ring.expire = lambda now: log.ring.clear(log.ring.newest)
    for _ in range(2):
        log.append([message() for _ in range(50)])
        await settled(log)
        times.append(time.time())
    assert await asked(lambda take: log.offset_before(times[1] - times[0], take)) == 50
    assert await asked(lambda take: log.offset_before(3600.0, take)) == 0
    # No calendar goes back so far: the replay never ended, and its subscription never came live.
    assert await asked(lambda take: log.offset_before(1e300, take)) == 0


@pytest.fixture
async def streams(shared_nats):
    made = Streams(shared_nats)
    yield made
    await made.end()


@pytest.fixture
async def behind(streams):
    """A log that is far ahead, and the edge of a gateway that lags behind on the same stream until it is `released`."""
    settings, released = streams.settings(), asyncio.Event()
    ahead = await streams.log(settings=settings)
    edge = Edge()
    edge.released = released
    edge.log = edge.room.log = await streams.log(
        edge.hub.take, settings=settings, name="behind", upstream="", busy=lambda: not released.is_set()
    )
    ahead.append([message(payload=str(number).encode()) for number in range(1, 1001)])
    await settled(ahead)
    async with edge:
        assert edge.log.newest < 900
        yield edge


async def test_a_viewer_that_comes_from_a_gateway_ahead_goes_on_where_it_was(behind):
    async with behind.connect(f"?topic=t&replay={behind.log.epoch}:900") as client:
        await receive(client, "welcome")
        await say(client, type="ping", id=1)
        await receive(client, "pong")
        behind.released.set()
        assert [(await receive(client, "message"))["offset"] for _ in range(100)] == list(range(901, 1001))


async def test_an_offset_that_the_stream_never_gave_is_a_gap_and_the_last_values(behind):
    behind.released.set()
    async with behind.connect(f"?topic=t&replay={behind.log.epoch}:1001") as client:
        await receive(client, "welcome")
        gap = await receive(client)
        assert (gap["type"], gap["reason"]) == ("gap", "restart")
        assert (await receive(client, "replayed"))["complete"] is False
