"""The probe: connected but blind is found, cured step by step, and told."""

import asyncio

import pytest
from msgspec.structs import replace
from support import mqttpackets as packets
from support.fakebroker import FakeBroker, OnSubscribe, Peer
from support.follower import until
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


async def test_another_configuration_has_a_probe_of_its_own(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """The probe of the one before went on: nobody knew it when it came back, and the link was called blind."""
    link = make_link(mosquitto.url, canary=0.2, link_options=OPTIONS)
    await collector.connected()
    link.reload(replace(link.settings, keepalive=20.0))
    await collector.until(lambda: collector.history == ["connected", "connecting", "connected"])
    sent = mosquitto.log.count(f"Received PUBLISH from {link.settings.client_id}")
    await until(lambda: mosquitto.log.count(f"Received PUBLISH from {link.settings.client_id}") > sent + 3)

    assert collector.history == ["connected", "connecting", "connected"]
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


def refusing(*refused: str) -> OnSubscribe:
    async def answer(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0x80 if filter in refused else options & 3 for filter, options in filters])

    return answer


async def test_a_probe_that_the_broker_refuses_is_not_sent_and_makes_nobody_blind(
    make_link: MakeLink, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeBroker(on_subscribe=refusing(TOPIC)) as broker:
        link = make_link(broker.url, canary=0.05, link_options=OPTIONS)
        await collector.connected()
        for number in range(2):
            broker.peer.close()
            await collector.disconnected()
            await collector.connected()
            await asyncio.sleep(0.2)
            broker.peer.publish("a", b"%d" % number)
            await collector.until(lambda number=number: len(collector.messages) == number + 1)  # type: ignore[misc]

        assert set(collector.history) == {"connected", "waiting"}
        assert collector.states[-1].reason == f'the broker refused 1 of 2 filters: "{TOPIC}" (Unspecified error)'
        assert all(peer.published == [] for peer in broker.peers)
        assert link.counters.canaries_missed == 0
    assert sum("not probed" in message for message in caplog.messages) == 1


async def test_a_blind_link_whose_probe_is_refused_later_is_blind_no_more(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, canary=0.1, link_options=OPTIONS)
        await collector.until(lambda: "blind" in collector.history)
        broker.on_subscribe = refusing(TOPIC)
        await collector.connected()
        await asyncio.sleep(0.3)

        assert collector.history[-1] == "connected"


async def test_where_only_the_probe_is_granted_the_link_is_refused(make_link: MakeLink, collector: Collector) -> None:
    """It would say connected for ever, and its probe would come back, while no viewer gets anything."""
    async with FakeBroker(on_subscribe=refusing("sensors/#")) as broker:
        make_link(broker.url, canary=5.0, topics=(UpstreamTopic(filter="sensors/#"),), link_options=OPTIONS)
        await collector.until(lambda: collector.states)

        assert collector.states[-1].state == "refused"
