"""Slow clients over real sockets: what they are told, that they hold nobody else up, and that memory comes back."""

import asyncio
import ssl
import time

import pytest
from support.edge import Edge, receive, say
from support.sleeper import Sleeper, until

from gateway.edge.tls import server_context
from gateway.hub.outbox import Bounds, Policy

KIB = b"x" * 1024


def flood(edge: Edge, count: int, topics: int = 1, payload: bytes = KIB) -> None:
    text = b'"%b"' % payload
    for _ in range(count):
        edge.publish(f"t/{edge.log.newest % topics}", text)


async def test_a_client_that_never_reads_is_ended_after_patience_and_gives_all_back():
    bounds = Bounds(soft=16_384, hard=65_536, patience=1.0)
    async with Edge(bounds=bounds) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        async with asyncio.timeout(20):
            while edge.server.connections:
                flood(edge, 20, topics=1000)
                await asyncio.sleep(0.02)
        assert edge.server.counts["slow-consumer"] == 1
        assert edge.server.budget.size == 0
        assert edge.server.budget.kernel_size == 0
        assert edge.hub.audiences == 0
        sleeper.close()


async def test_the_kernel_holds_little_for_a_client_that_never_reads():
    """By default it would be megabytes of values that are old before they are read, and out of every policy's reach."""
    async with Edge(bounds=Bounds(soft=1 << 30, hard=1 << 30)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        size = edge.server.budget.size
        for _ in range(100):
            flood(edge, 80)
            await asyncio.sleep(0)
        [connection] = edge.server.connections.values()
        sent = edge.log.newest * len(KIB)
        assert sent > 8_000_000
        await until(lambda: connection.queue_size > sent - 400_000)
        assert edge.server.budget.size - size > sent - 400_000
        sleeper.close()


async def test_one_who_reads_a_little_learns_that_it_was_too_slow():
    bounds = Bounds(soft=16_384, hard=65_536, patience=0.5)
    async with Edge(bounds=bounds) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        got = b""
        async with asyncio.timeout(30):
            while not edge.server.counts["slow-consumer"]:
                flood(edge, 50, topics=1000)
                await asyncio.sleep(0.02)
                got = (got + sleeper.read(2000))[-10_000:]
            while (4413).to_bytes(2, "big") not in got:
                await asyncio.sleep(0.001)
                got = (got + sleeper.read())[-10_000_000:]
        sleeper.close()


@pytest.mark.parametrize("size", [1024, 60_000], ids=["nothing taken", "a part taken"])
async def test_one_who_is_to_be_disconnected_at_the_first_message_too_many_learns_why_when_it_reads(size):
    """Nobody waited for its socket to take the close frame: five seconds later the connection was reset."""
    async with Edge(bounds=Bounds(Policy.DISCONNECT, soft=20_000)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        async with asyncio.timeout(10):
            while not edge.server.counts["slow-consumer"]:
                flood(edge, 50, payload=b"x" * size)
                await asyncio.sleep(0.002)
            got, begun = b"", time.monotonic()
            while (4413).to_bytes(2, "big") not in got:
                await asyncio.sleep(0.001)
                got = (got + sleeper.read())[-100_000:]
        assert time.monotonic() - begun < 4.0
        sleeper.close()


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("secure", [False, True])
async def test_a_burst_above_soft_goes_whole_to_a_client_whose_socket_takes_it(secure, policy, certificate):
    context = server_context(certificate.certificate, certificate.key) if secure else None
    options = {"ssl": ssl.create_default_context(cafile=str(certificate.ca))} if secure else {}
    async with Edge(context=context, bounds=Bounds(policy, soft=16_384)) as edge:
        async with edge.connect("?topic=%23&replay=none", **options) as client:
            await receive(client, "welcome")
            await until(lambda: edge.hub.audiences == 1)
            flood(edge, 90)
            assert [(await receive(client))["offset"] for _ in range(90)] == list(range(1, 91))


async def test_what_a_socket_did_not_take_of_a_burst_is_thinned_at_once():
    async with Edge(bounds=Bounds(soft=16_384)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none")
        await until(lambda: edge.hub.audiences == 1)
        flood(edge, 8000)
        [connection] = edge.server.connections.values()
        await until(lambda: connection.queue_size)
        # What has been offered is out of reach; behind it one message of the one topic is left.
        assert connection.queue_size < 300_000
        sleeper.close()


@pytest.mark.timing
async def test_ninety_who_never_read_share_what_waits_and_a_healthy_one_has_all_of_it():
    async with Edge() as edge:
        sleepers = [Sleeper(edge.port, "?topic=%23&replay=none") for _ in range(90)]
        await until(lambda: len(edge.server.connections) == 90)
        async with edge.connect("?topic=%23&replay=none") as client:
            await receive(client, "welcome")
            worst = 0.0
            for number in range(200):
                flood(edge, 5, topics=10)
                begun = time.monotonic()
                async with asyncio.timeout(5):
                    while (await receive(client, "message"))["offset"] < 5 * (number + 1):
                        pass
                worst = max(worst, time.monotonic() - begun)
            assert worst < 1.0
            # One copy of what waits, however many wait for it, and what has been offered to each socket.
            assert edge.server.budget.size < 90 * 300_000
            begun = time.monotonic()
            await say(client, type="ping", id=1)
            await receive(client, "pong")
            assert time.monotonic() - begun < 0.5
        for sleeper in sleepers:
            sleeper.close()
        await until(lambda: not edge.server.connections)
        assert edge.server.budget.size == 0


async def test_a_slow_client_in_mode_latest_is_sent_fewer_values_and_told_so():
    async with Edge(bounds=Bounds(soft=1 << 20, hard=1 << 22)) as edge:
        sleeper = Sleeper(edge.port, "?topic=%23&replay=none&mode=latest&status=1")
        await until(lambda: edge.hub.audiences == 1)
        got = b""
        async with asyncio.timeout(30):
            while b'"type":"rate"' not in got:
                flood(edge, 40, topics=5)
                await asyncio.sleep(0.02)
                got = (got + sleeper.read(3000))[-100_000:]
        [session] = [c.session for c in edge.server.connections.values()]
        assert session.audience.key.table[0].interval >= 0.1
        assert b'"reason":"the connection takes ' in got
        sleeper.close()


async def test_an_interval_asked_for_over_the_wire_is_kept_and_named():
    async with Edge() as edge, edge.connect() as client:
        await receive(client, "welcome")
        await say(client, type="subscribe", id=1, topics=["t/#"], interval=0.3, replay="none")
        await receive(client, "ok")
        for _ in range(30):
            flood(edge, 1)
            await asyncio.sleep(0.02)
        got = []
        async with asyncio.timeout(3):
            while not got or got[-1] < 30:
                got.append((await receive(client, "message"))["offset"])
        assert got[0] == 1
        assert len(got) <= 5
