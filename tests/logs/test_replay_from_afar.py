"""Replays of what memory does not hold any more, to real clients: from a file, and from a stream."""

import asyncio

import pytest
from support.edge import Edge, receive, say
from support.jetstream import Streams, settled


@pytest.fixture(params=["sqlite", "jetstream"])
async def keeping(request, shared_nats, make_log, stored):
    """A function that makes an edge whose log is kept elsewhere, with next to nothing in memory; its `stored` waits
    until all is."""
    streams = Streams(shared_nats) if request.param == "jetstream" else None

    async def make(**options):
        edge = Edge()
        if streams is None:
            edge.log = make_log(limit=20_000, **options)
            edge.log._sink = edge.hub.take
            edge.stored = lambda: stored(edge.log)
        else:
            edge.log = await streams.log(edge.hub.take, limit=20_000, upstream="test")
            edge.stored = lambda: settled(edge.log)
        edge.room.log = edge.log
        return edge

    yield make
    if streams is not None:
        await streams.end()


async def test_a_replay_goes_over_to_live_under_publishing(keeping):
    async with await keeping() as edge:
        for number in range(4000):
            edge.publish(f"t/{number % 3}", str(number))
            if number % 500 == 0:
                await edge.stored()
        await edge.stored()
        assert edge.log.ring.oldest > 3000
        async with edge.connect(f"?topic=%23&replay={edge.log.epoch}:100", max_queue=None) as client:

            async def publish():
                for number in range(4000, 6000):
                    edge.publish(f"t/{number % 3}", str(number))
                    if number % 10 == 0:
                        await asyncio.sleep(0.001)

            publishing = asyncio.create_task(publish())
            await receive(client, "welcome")
            got, marks = [], []
            while not marks or got[-1] < 6000:
                told = await receive(client)
                if told["type"] == "message":
                    got.append(told["offset"])
                    assert told["data"] == told["offset"] - 1
                else:
                    marks.append(told)
            await publishing
            assert got == list(range(101, 6001))
            assert [mark["type"] for mark in marks] == ["replayed"]
            assert marks[0]["complete"] is True


async def test_thinned_resume_reads_what_is_kept(keeping):
    async with await keeping(durable=True) as edge:
        for number in range(3000):
            edge.publish(f"t/{number % 3}", str(number))
        await edge.stored()
        async with edge.connect() as client:
            await receive(client, "welcome")
            replay = {"epoch": edge.log.epoch, "offset": 0, "points": 5}
            await say(client, type="subscribe", id=1, topics=["t/#"], replay=replay)
            await receive(client, "ok")
            assert [(await receive(client))["offset"] for _ in range(3)] == [2998, 2999, 3000]
            told = []
            while not told or told[-1]["type"] != "replayed":
                told.append(await receive(client))
            gap = next(each for each in told if each["type"] == "gap")
            assert gap["reason"] == "interval"
            messages = [each for each in told if each["type"] == "message"]
            assert gap["count"] + len(messages) + 3 == 3000
            assert len(messages) <= 15


@pytest.mark.slow
async def test_another_clients_replay_waits_for_nobody(keeping):
    async with await keeping() as edge:
        for number in range(3000):
            edge.publish("t", str(number))
        await edge.stored()
        async with edge.connect(f"?topic=%23&replay={edge.log.epoch}:0", max_queue=1) as slow, edge.connect() as other:
            await receive(slow, "welcome")
            await receive(other, "welcome")
            await say(other, type="subscribe", id=1, topics=["t"], replay={"count": 2500})
            await receive(other, "ok")
            assert [(await receive(other))["offset"] for _ in range(2500)] == list(range(501, 3001))
