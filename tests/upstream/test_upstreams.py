"""Several brokers at once: each with its own state, and a client's message by the right one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace
from support.fakebroker import FakeBroker
from support.links import Collector, settings
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher

from gateway.config import Upstream
from gateway.hub.message import Message
from gateway.hub.ports import Turns
from gateway.upstream.upstreams import Upstreams

Make = Callable[..., Upstreams]


@pytest.fixture
async def make(collector: Collector) -> AsyncIterator[Make]:
    made: list[Upstreams] = []

    def start(*each: Upstream, turns: Turns | None = None) -> Upstreams:
        loop = asyncio.get_running_loop()
        upstreams = Upstreams(each, publisher=collector, listener=collector, loop=loop, turns=turns)
        upstreams.start()
        made.append(upstreams)
        return upstreams

    yield start
    for upstreams in made:
        await upstreams.stop()


def up(upstreams: Upstreams) -> list[str]:
    return [state.name for state in upstreams.states() if state.state == "connected"]


async def test_one_broker_goes_and_the_other_goes_on(make: Make, collector: Collector, mosquitto: Mosquitto) -> None:
    async with FakeBroker() as other:
        upstreams = make(
            settings(mosquitto.url, name="plant", prefix="plant/"), settings(other.url, name="hall", prefix="hall/")
        )
        await collector.until(lambda: up(upstreams) == ["plant", "hall"])
        mosquitto.stop()
        await collector.until(lambda: up(upstreams) == ["hall"])
        other.peer.publish("t", b"v")
        await collector.until(lambda: collector.messages)

        assert (collector.messages[0].topic, collector.messages[0].upstream) == ("hall/t", "hall")
        assert upstreams.live
        mosquitto.start()
        await collector.until(lambda: up(upstreams) == ["plant", "hall"])


async def test_a_message_goes_out_by_the_longest_prefix(make: Make, collector: Collector) -> None:
    async with FakeBroker() as one, FakeBroker() as two:
        upstreams = make(settings(one.url, name="one", prefix=""), settings(two.url, name="two", prefix="plant/"))
        await collector.until(lambda: len(up(upstreams)) == 2)
        upstreams.publish("plant/valve", b"1", qos=1, retain=False, done=collector.done)
        upstreams.publish("hall/lamp", b"2", qos=1, retain=False, done=collector.done)
        await collector.until(lambda: len(collector.answers) == 2)

        assert [published.topic for published in one.peer.published] == ["hall/lamp"]
        assert [published.topic for published in two.peer.published] == ["valve"]


async def test_a_message_that_fits_no_prefix_is_refused(make: Make, collector: Collector) -> None:
    async with FakeBroker() as broker:
        upstreams = make(settings(broker.url, prefix="plant/"))

        upstreams.publish("hall/lamp", b"1", qos=0, retain=False, done=collector.done)

        assert collector.answers == ["unsupported: no upstream has a prefix that this topic begins with"]


async def test_a_reload_adds_changes_and_takes_away_links(
    make: Make, collector: Collector, mosquitto: Mosquitto
) -> None:
    async with FakeBroker() as other:
        upstreams = make(settings(mosquitto.url, name="old"), settings(other.url, name="stays", prefix="p/"))
        await collector.until(lambda: len(up(upstreams)) == 2)
        first = other.peer
        new = settings(mosquitto.url, name="new", client_id="new")
        await upstreams.reload([new, settings(other.url, name="stays", prefix="p/")])
        await collector.until(lambda: up(upstreams) == ["new", "stays"])
        with MqttPublisher(mosquitto.port) as publisher:
            publisher.publish("t", "v")
        await collector.until(lambda: collector.messages)

        assert [message.upstream for message in collector.messages] == ["new"]
        assert other.peer is first
        assert not first.said_goodbye


class Granted:
    """Is Turns: each upstream is this gateway's at once, but for those that `wait`."""

    def __init__(self, *wait: str) -> None:
        self.wait = wait
        self.begin: dict[str, Callable[[list[Message]], None]] = {}
        self.withdrawing: Callable[[str], None] = lambda upstream: None

    def campaign(self, upstream: str, begin: Callable[[list[Message]], None], end: Callable[[], None]) -> None:
        self.begin[upstream] = begin
        if upstream not in self.wait:
            asyncio.get_running_loop().call_soon(begin, [])

    async def withdraw(self, upstream: str) -> None:
        self.withdrawing(upstream)
        await asyncio.sleep(0)


async def test_who_hands_an_upstream_on_reads_no_more_before_it_lets_go_and_other_turns_begin_meanwhile(
    make: Make, collector: Collector
) -> None:
    """What was read while the rest was being stored went nowhere; the turn of another upstream was lost by a fault."""
    async with FakeBroker() as one, FakeBroker() as two:
        plant = settings(one.url, name="plant", ingest="one", client_id="plant")
        hall = settings(two.url, name="hall", ingest="one", client_id="hall")
        turns = Granted("hall")
        upstreams = make(plant, hall, turns=turns)
        await collector.until(lambda: upstreams.follows("plant") and len(up(upstreams)) == 2)
        told: list[tuple[str, list[str]]] = []

        def withdrawing(upstream: str) -> None:
            told.append((upstream, [link.name for link in upstreams.links if link._session.connected]))
            turns.begin["hall"]([])

        turns.withdrawing = withdrawing
        await upstreams.reload([replace(plant, ingest="none"), hall])
        turns.withdrawing = lambda upstream: None

        assert told == [("plant", ["hall"])]
        assert [upstreams.follows(name) for name in ("plant", "hall")] == [False, True]
        await collector.until(lambda: len(up(upstreams)) == 2)


async def test_stopping_answers_what_waits(make: Make, collector: Collector) -> None:
    upstreams = make(settings("mqtt://127.0.0.1:1"))
    await collector.until(lambda: collector.states)
    upstreams.publish("a", b"v", qos=1, retain=False, done=collector.done)

    await upstreams.stop()

    assert collector.answers == ["upstream-down: the gateway is stopping"]
