"""Turns of reading: messages that come within a `linger` are taken in together, and nothing is held up by it."""

import asyncio
import time

import pytest
from support import mqttpackets as packets
from support.fakebroker import FakeBroker
from support.links import Collector, MakeLink
from support.mosquitto import Mosquitto

from gateway.config import UpstreamTopic
from gateway.upstream.intake import LIGHT

LINGER = 1.0


async def test_the_first_message_comes_at_once_and_those_of_a_linger_together(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, linger=LINGER)
        await collector.connected()
        begin = time.monotonic()
        broker.peer.publish("a", b"0")
        await collector.until(lambda: collector.messages)
        assert time.monotonic() - begin < LINGER / 2
        for number in range(1, 6):
            broker.peer.publish("a", b"%d" % number)
            await broker.peer.drain()
            await asyncio.sleep(0)  # a segment of its own
        await collector.until(lambda: len(collector.messages) == 6)

    assert collector.batches == [1, 5]
    assert collector.payloads == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_without_it_every_message_is_taken_in_as_it_comes(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url)
        await collector.connected()
        for number in range(5):
            broker.peer.publish("a", b"%d" % number)
            await collector.until(lambda number=number: len(collector.messages) > number)

    assert collector.batches == [1] * 5


async def test_what_comes_in_bulk_does_not_linger(make_link: MakeLink, collector: Collector) -> None:
    """The kernel's buffer would overflow into the broker's queue, and that one drops."""
    bulk = 12
    async with FakeBroker() as broker:
        make_link(broker.url, linger=LINGER)
        await collector.connected()
        begin = time.monotonic()
        for number in range(1, bulk + 1):
            broker.peer.send(packets.publish("a", bytes(2 * LIGHT), properties=b""))
            await collector.until(lambda number=number: len(collector.messages) == number)
        assert time.monotonic() - begin < bulk * LINGER / 3


async def test_a_broker_that_closes_meanwhile_is_noticed(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, linger=LINGER)
        await collector.connected()
        broker.peer.publish("a", b"last")
        await collector.until(lambda: collector.messages)
        broker.peer.close()
        state = await collector.disconnected(5)
        await collector.connected()

    assert state.reason == "the broker closed the connection"


async def test_a_link_that_is_stopped_meanwhile_takes_in_no_more(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url, linger=LINGER)
        await collector.connected()
        broker.peer.publish("a", b"last")
        await collector.until(lambda: collector.messages)
        broker.peer.publish("a", b"too late")
        await broker.peer.drain()
        await link.stop()

    assert collector.payloads == [b"last"]


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_whatever_the_qos_nothing_is_lost(make_link: MakeLink, collector: Collector, qos: int) -> None:
    with Mosquitto() as broker:
        link = make_link(broker.url, linger=0.05, topics=(UpstreamTopic(filter="#", qos=qos),))
        await collector.connected()
        for number in range(300):
            link.publish("a", b"%d" % number, qos=qos, retain=False, done=collector.done)
        await collector.until(lambda: len(collector.messages) == len(collector.answers) == 300, 30)

    assert collector.payloads == [b"%d" % number for number in range(300)]
