"""The probe: connected but blind is found, cured step by step, and told."""

import asyncio

import pytest
from support import mqttpackets as packets
from support.fakebroker import FakeBroker, Peer
from support.links import Collector, MakeLink
from support.mosquitto import Mosquitto
from support.nats import Nats

from gateway.config import UpstreamTopic
from gateway.upstream.canary import Cure, cure

TOPIC = "sensor-gateway/box/canary"
OPTIONS = {"gateway": "box"}


def test_the_cures_come_in_order_and_then_the_gentle_one() -> None:
    """A probe without rights must not cost the messages that do come: no reconnect at every probe for ever."""
    assert [cure(misses) for misses in range(1, 4)] == [Cure.RESUBSCRIBE, Cure.RECONNECT, Cure.NEW_CLIENT_ID]
    later = [cure(misses) for misses in range(4, 304)]
    assert later.count(Cure.RECONNECT) == 10
    assert later.count(Cure.NEW_CLIENT_ID) == 0


@pytest.mark.parametrize("broker", ["mosquitto", "nats"])
async def test_the_probe_comes_back_and_no_viewer_sees_it(
    broker: str, request: pytest.FixtureRequest, make_link: MakeLink, collector: Collector
) -> None:
    real = request.getfixturevalue(broker)
    assert isinstance(real, Mosquitto | Nats)
    link = make_link(real.url, canary=0.2, link_options=OPTIONS)
    await collector.connected()
    link.publish("a", b"v", qos=1, retain=False, done=collector.done)
    await collector.until(lambda: collector.messages)
    await asyncio.sleep(0.7)

    assert collector.history == ["connected"]
    assert {message.topic for message in collector.messages} == {"a"}
    assert link.counters.canaries_missed == 0


class BlindBroker(FakeBroker):
    """Answers everything, and delivers probes only as long as `sees` says so of the client."""

    def __init__(self) -> None:
        super().__init__(on_publish=self._deliver)
        self.cured_by = ""

    async def _deliver(self, peer: Peer, published: packets.Published) -> None:
        if published.topic == TOPIC and self._sees(peer):
            peer.publish(TOPIC, published.payload)

    def _sees(self, peer: Peer) -> bool:
        assert peer.connect is not None
        if self.cured_by == "subscribing again":
            return len(peer.filters) > 2
        if self.cured_by == "reconnecting":
            return len(self.peers) > 1
        return peer.connect.client_id != "gateway-under-test"


@pytest.mark.parametrize(
    ("cured_by", "misses", "connections"),
    [
        ("subscribing again", 1, 1),
        ("reconnecting", 2, 2),
        ("taking a fresh client id", 3, 3),
    ],
)
async def test_a_blind_link_is_cured(
    make_link: MakeLink,
    collector: Collector,
    caplog: pytest.LogCaptureFixture,
    cured_by: str,
    misses: int,
    connections: int,
) -> None:
    async with BlindBroker() as broker:
        broker.cured_by = cured_by
        link = make_link(broker.url, canary=0.15, topics=(UpstreamTopic(filter="sensors/#"),), link_options=OPTIONS)
        await collector.connected()
        await collector.until(lambda: len(collector.states) == 3)

        assert collector.history == ["connected", "blind", "connected"]
        assert len(broker.peers) == connections
        assert link.counters.canaries_missed == misses
    assert any(f"{misses} probes missing: {cured_by}" in message for message in caplog.messages)


async def test_the_probe_of_another_gateway_of_the_same_name_does_not_count(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url, canary=0.2, link_options=OPTIONS)
        await collector.connected()
        broker.peer.publish(TOPIC, b"somebody else's")
        await collector.until(lambda: "blind" in collector.history)

        assert link.counters.canaries_missed >= 1
        assert collector.messages == []
