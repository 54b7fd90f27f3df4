"""Floods and storms: memory stays, and whoever else lives on the loop goes on."""

import asyncio
import resource
import time
from collections.abc import Callable

import pytest
from support import mqttpackets as packets
from support.fakebroker import FakeBroker
from support.links import Collector, MakeLink, settings
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher

from gateway.config import UpstreamTopic
from gateway.hub.message import Message
from gateway.upstream.bufferedsocket import RECEIVE
from gateway.upstream.intake import TURN_BYTES
from gateway.upstream.link import Link

ALL = (UpstreamTopic(filter="#"),)


async def watch_loop(stop: asyncio.Event) -> list[float]:
    """How late the loop was, every 5 ms."""
    late = []
    while not stop.is_set():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        late.append(time.monotonic() - before - 0.005)
    return late


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


@pytest.mark.timing
@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.slow
async def test_a_storm_of_100_000_retained_messages_leaves_room_for_others(
    make_link: MakeLink, collector: Collector, qos: int
) -> None:
    """Measured on another upstream's paced topic and on the loop itself while the storm comes in."""
    with Mosquitto(config="max_inflight_messages 0\nmax_queued_messages 0") as stormy, Mosquitto() as calm:
        with MqttPublisher(stormy.port) as publisher:
            publisher.send(b"".join(packets.publish(f"r/{n}", b"%d" % n, retain=True) for n in range(100_000)))
        make_link(calm.url, name="calm", client_id="calm")
        await collector.connected()
        stop = asyncio.Event()
        loop_watch = asyncio.create_task(watch_loop(stop))
        make_link(stormy.url, name="stormy", topics=(UpstreamTopic(filter="r/#", qos=qos),))
        paced = await asyncio.to_thread(publish_paced, calm.port, 200)
        await collector.until(lambda: sum(m.upstream == "stormy" for m in collector.messages) >= 100_000, 60)
        await collector.until(lambda: sum(m.upstream == "calm" for m in collector.messages) >= paced, 10)
        stop.set()
        late = await loop_watch

    latencies = [
        (message.timestamp or 0) - float(message.payload)
        for message in collector.messages
        if message.upstream == "calm"
    ]
    assert percentile(latencies, 0.99) < 0.1
    assert percentile(late, 0.99) < 0.1
    assert {message.topic for message in collector.messages if message.upstream == "stormy"} == {
        f"r/{number}" for number in range(100_000)
    }


def publish_paced(port: int, count: int) -> int:
    with MqttPublisher(port) as publisher:
        for _ in range(count):
            publisher.publish("paced", repr(time.time()))
            time.sleep(0.01)
    return count


class SlowHub(Collector):
    """Counts and keeps nothing; busy most of the time."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        self.count += len(messages)
        self.busy = True
        asyncio.get_running_loop().call_later(0.02, self.free)
        self._changed.set()

    def free(self) -> None:
        self.busy = False


async def test_a_flood_at_qos_0_is_left_in_the_socket_while_the_hub_is_behind() -> None:
    hub = SlowHub()
    flood = b"".join(packets.publish(f"t/{n % 100}", bytes(1000), properties=b"") for n in range(1000))
    async with FakeBroker() as broker:
        link = Link(settings(broker.url, protocol="5"), publisher=hub, listener=hub, loop=asyncio.get_running_loop())
        link.start()
        await hub.connected()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async def pour() -> None:
            while True:
                broker.peer.send(flood)
                await broker.peer.drain()

        pouring = asyncio.create_task(pour())
        await asyncio.sleep(2)
        pouring.cancel()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        taken = hub.count
        await link.stop()

    # 100 turns of at most 512 messages in 2 s; a broker that could send more had to wait.
    assert 512 < taken <= 512 * 110
    assert grown < 16 * 1024


async def test_a_turn_hands_on_at_most_512_messages(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="5")
        await collector.connected()
        broker.peer.send(packets.publish("a", b"v", properties=b"") * 5000)
        await collector.until(lambda: len(collector.messages) == 5000)

    assert max(collector.batches) <= 512


async def test_a_turn_of_large_messages_ends_before_they_are_too_much_for_an_outbox(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="5")
        await collector.connected()
        broker.peer.send(packets.publish("a", bytes(2000), properties=b"") * 1000)
        await collector.until(lambda: len(collector.messages) == 1000)

    assert max(collector.batches) * 2000 <= RECEIVE + TURN_BYTES


class DearHub(Collector):
    """A hub to which each message is work: 0.5 ms."""

    def publish(self, messages: list[Message], durable: Callable[[], None] | None = None) -> None:
        end = time.perf_counter() + 0.0005 * len(messages)
        while time.perf_counter() < end:
            pass
        super().publish(messages, durable)


async def test_turns_get_shorter_where_messages_are_dear() -> None:
    hub = DearHub()
    async with FakeBroker() as broker:
        link = Link(settings(broker.url, protocol="5"), publisher=hub, listener=hub, loop=asyncio.get_running_loop())
        link.start()
        await hub.connected()
        broker.peer.send(packets.publish("a", b"v", properties=b"") * 3000)
        await hub.until(lambda: len(hub.messages) == 3000)
        await link.stop()

    # 16 messages are 8 ms, as long as a turn may become here; the first turns find that out.
    assert sum(batch > 32 for batch in hub.batches) <= 8


async def test_receive_maximum_bounds_what_is_in_flight(make_link: MakeLink, collector: Collector) -> None:
    with Mosquitto() as broker:
        collector.hold = True
        make_link(broker.url, protocol="5", receive_maximum=7)
        await collector.connected()
        with MqttPublisher(broker.port) as publisher:
            for number in range(50):
                publisher.publish("a", str(number), qos=1)
        await asyncio.sleep(0.3)
        assert len(collector.messages) == 7

        collector.hold = False
        while collector.durables:
            collector.durables.pop(0)()
        await collector.until(lambda: len(collector.messages) == 50)
