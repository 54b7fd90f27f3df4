"""A client that reads nothing for a minute, and then reads: it knows exactly what it did not get, and is current."""

import asyncio
import time

import pytest
from support.edge import Edge
from support.sleeper import Sleeper, objects_in, until

from gateway.edge.admission import ServerLimits
from gateway.hub.outbox import Bounds

RATE, TOPICS = 500, 50


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seconds", [60])
async def test_a_client_that_slept_is_told_what_it_missed_and_is_current_within_a_second(seconds):
    limits = ServerLimits(interval=20.0, timeout=90.0)
    async with Edge(limits=limits, bounds=Bounds(patience=90.0)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        begun, sent = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            while sent < passed * RATE:
                edge.publish(f"t/{sent % TOPICS}", b'"%b"' % (b"x" * 1022))
                sent += 1
            await asyncio.sleep(0.01)
        assert len(edge.server.connections) == 1
        woken = time.monotonic()
        newest = edge.publish("t/0", b'"last"')
        got = b""
        while b'"offset":%d' % newest not in got:
            await asyncio.sleep(0.001)
            got += sleeper.read()
            assert time.monotonic() - woken < 1.0
        told = objects_in(got)
        messages = [each["offset"] for each in told if each["type"] == "message"]
        gaps = [each for each in told if each["type"] == "gap"]
        assert messages == sorted(set(messages))
        assert gaps
        assert {gap["reason"] for gap in gaps} == {"slow-consumer"}
        assert len(messages) + sum(gap["count"] for gap in gaps) == newest == sent + 1
        sleeper.close()
