"""What may have passed while there was no connection is told, once, and before anything that came after it."""

from collections.abc import Awaitable, Callable

import pytest
from support.brokerproxy import BrokerProxy
from support.fakebroker import FakeBroker, Peer, resume
from support.links import Collector, MakeLink
from support.mosquitto import Mosquitto

from gateway.config import UpstreamTopic

AT_0, AT_1 = (UpstreamTopic(filter="t"),), (UpstreamTopic(filter="t", qos=1),)


@pytest.fixture
def collector() -> Collector:
    """`places` are the numbers of messages before each gap."""

    class Places(Collector):
        def __init__(self) -> None:
            super().__init__()
            self.places: list[int] = []

        def upstream_gap(self, name: str) -> None:
            super().upstream_gap(name)
            self.places.append(len(self.messages))

    return Places()


async def with_its_connack(peer: Peer) -> None:
    """A session that is there, and what was kept in it at once."""
    peer.accept(session_present=len(peer.broker.peers) > 1)
    peer.publish("t", b"%d" % len(peer.broker.peers))


async def with_its_suback(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
    peer.grant(mid, [0])
    peer.publish("t", b"%d" % len(peer.broker.peers))


@pytest.mark.parametrize(
    "answers", [{"on_connect": with_its_connack}, {"on_subscribe": with_its_suback}], ids=["connack", "suback"]
)
async def test_a_gap_comes_before_the_first_message_of_the_new_connection(
    answers: dict[str, Callable[..., Awaitable[None]]], make_link: MakeLink, collector: Collector
) -> None:
    """It came once the filters were granted: behind what a broker had sent by then."""
    async with FakeBroker(**answers) as broker:  # type: ignore[arg-type]
        make_link(broker.url, topics=AT_0)
        await collector.until(lambda: collector.messages and collector.history == ["connected"])
        broker.peer.close()
        await collector.until(lambda: len(collector.messages) == 2 and collector.history[-1] == "connected")

    assert collector.payloads == [b"1", b"2"]
    assert collector.places == [1]  # type: ignore[attr-defined]


async def test_a_broker_that_never_grants_is_no_new_gap_at_every_try(make_link: MakeLink, collector: Collector) -> None:
    async def close_the_later_ones(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        if len(peer.broker.peers) in (1, 4):
            peer.grant(mid, [0])
        else:
            peer.close()

    async with FakeBroker(on_subscribe=close_the_later_ones) as broker:
        make_link(broker.url, protocol="3.1.1", topics=AT_0)
        await collector.connected()
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()
        assert len(broker.peers) == 4

    assert collector.gaps == ["main"]


async def test_a_broker_that_grants_less_than_was_asked_for_is_a_gap_though_it_kept_the_session(
    make_link: MakeLink, collector: Collector
) -> None:
    async def grant_less(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0 if len(peer.broker.peers) > 1 else 1])

    async with FakeBroker(on_connect=resume, on_subscribe=grant_less) as broker:
        make_link(broker.url, topics=AT_1)
        await collector.connected()
        broker.peer.close()
        await collector.until(lambda: collector.gaps)

    assert collector.gaps == ["main"]


async def test_the_probes_own_qos_0_is_nobodys_loss(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """With a canary every reconnect was a gap, also where the session had kept all that viewers get."""
    async with BrokerProxy(mosquitto.port) as proxy:
        link = make_link(proxy.url, topics=AT_1, canary=30.0)
        await collector.connected()
        proxy.reset()
        await collector.disconnected()
        await collector.connected()
        await link.stop()

    assert collector.gaps == []


@pytest.mark.parametrize(("topics", "gaps"), [(AT_0, ["main"]), (AT_1, [])], ids=["qos 0", "qos 1"])
async def test_who_takes_over_from_another_gateway_tells_what_no_session_kept_with_its_first_connection(
    topics: tuple[UpstreamTopic, ...],
    gaps: list[str],
    mosquitto: Mosquitto,
    make_link: MakeLink,
    collector: Collector,
) -> None:
    """Only a second connection of a process told it: one that had not stood by lost messages without a word."""
    first = make_link(mosquitto.url, topics=topics, link_options={"shared": True})
    await collector.connected()
    await first.stop()
    collector.gaps.clear()
    second = make_link(mosquitto.url, topics=topics, link_options={"shared": True})
    await collector.until(lambda: second.connected)

    assert collector.gaps == gaps
