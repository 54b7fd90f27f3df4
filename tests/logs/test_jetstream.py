import asyncio
import contextlib

import pytest
from support.conformance import LogConformance, everything, message
from support.jetstream import Streams, settled

from gateway.logs.stream import StreamState


@pytest.fixture
async def streams(shared_nats):
    made = Streams(shared_nats)
    yield made
    await made.end()


class TestJetStreamLog(LogConformance):
    @pytest.fixture(autouse=True)
    async def fresh(self, streams):
        self.log = await streams.log(lambda messages: self.taken.extend(messages))

    def make(self, taken):
        self.taken = taken
        return self.log

    async def settle(self, log):
        await settled(log)


class TestJetStreamLogWithoutAWindow(LogConformance):
    """What memory does not hold comes out of the stream."""

    @pytest.fixture(autouse=True)
    async def fresh(self, streams):
        self.log = await streams.log(lambda messages: self.taken.extend(messages), age=0.0, limit=0)
        # Not even the newest block stays.
        self.log.ring.expire = lambda now: self.log.ring.clear(self.log.ring.newest)

    def make(self, taken):
        self.taken = taken
        return self.log

    async def settle(self, log):
        await settled(log)

    async def test_what_is_near_is_answered_within_the_call(self):
        log = self.make([])
        log.append([message()])
        await settled(log)
        assert log.near == log.newest, "nothing is near"


async def test_two_gateways_hand_on_the_same_messages_under_the_same_offsets(streams):
    settings = streams.settings()
    one, two = [], []
    first = await streams.log(one.extend, settings=settings, name="one")
    second = await streams.log(two.extend, settings=settings, name="two", upstream="")
    sent = [message(f"t/{n % 7} x", str(n).encode(), mid=n + 1) for n in range(3000)]
    for n in range(0, 3000, 100):
        first.append(sent[n : n + 100])
    await settled(first)
    await settled(second)
    assert one == two == sent
    assert first.epoch == second.epoch
    assert [m.offset for m in two] == list(range(1, 3001))
    found, gaps = await everything(second)
    assert (found, gaps) == (sent, [])


@pytest.mark.parametrize(("last", "seconds", "ends"), [(95, 1.0, False), (95, 6.0, True), (100, 6.0, False)])
async def test_a_stream_that_looks_shorter_ends_the_gateway_only_if_it_stays_so(streams, last, seconds, ends):
    """The leader may be a moment behind a server that has handed on already."""
    log = await streams.log()
    over = []
    log.over = lambda: over.append(True)
    looks = [(0.0, 95), (seconds / 2, last), (seconds, last)]

    async def look_for_a_while():
        for now, newest in looks:
            await log._looked(StreamState(log.epoch, 1, newest), now, 100)

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(look_for_a_while(), 0.1)
    assert bool(over) is ends


async def test_what_devices_publish_comes_under_the_name_that_it_is_called_by(streams):
    taken = []
    log = await streams.log(taken.extend, settings=streams.settings(prefix="", topics=("called/#",)))
    for name in ("", "plant"):
        log.call_unsigned(name)
        await log.client.request("called.a", b"1")
        await log._caught_up()
    assert [(each.topic, each.upstream) for each in taken] == [("called/a", ""), ("called/a", "plant")]
