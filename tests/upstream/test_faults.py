"""Faults of brokers and networks, injected on loopback: what the link says meanwhile, and that it comes back."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import mqttpackets as packets
from support.brokerproxy import BrokerProxy
from support.fakebroker import FakeBroker, Peer, ignore
from support.links import QUICK, Collector, MakeLink
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.nats import Nats
from support.processes import free_port

from gateway.config import Backoff, UpstreamTopic
from gateway.upstream import session

QOS_0 = (UpstreamTopic(filter="#"),)


@pytest.fixture(params=["mosquitto", "nats"])
def broker(request: pytest.FixtureRequest) -> Mosquitto | Nats:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Mosquitto | Nats)
    return found


async def hears(port: int, collector: Collector, payload: str = "still alive") -> None:
    """Publish to the broker and wait until the link has brought it."""
    with MqttPublisher(port) as publisher:
        publisher.publish("check", payload, qos=1)
    await collector.until(lambda: payload.encode() in collector.payloads)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_broker_that_goes_and_comes_is_followed_again(
    broker: Mosquitto | Nats, make_link: MakeLink, collector: Collector, end: str
) -> None:
    make_link(broker.url, topics=QOS_0)
    await collector.connected()

    getattr(broker, end)()
    state = await collector.disconnected()
    assert state.state == "waiting"
    assert state.retry_in is not None
    broker.start()
    await collector.connected()

    await hears(broker.port, collector)
    assert collector.gaps == ["main"]
    assert collector.history == ["connected", "waiting", "connected"] or "refused" in str(collector.states[-2].reason)


async def test_a_session_that_is_kept_loses_nothing_at_qos_1(
    make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    with Mosquitto(persistence_dir=tmp_path) as broker, MqttPublisher(broker.port) as publisher:
        async with BrokerProxy(broker.port) as proxy:
            link = make_link(proxy.url)
            await collector.connected()
            proxy.refuse = True
            proxy.reset()
            await collector.disconnected()
            for number in range(100):
                publisher.publish("a", str(number), qos=1)
            proxy.refuse = False
            await collector.until(lambda: len(collector.messages) >= 100)
            await link.stop()

    assert collector.payloads == [b"%d" % number for number in range(100)]
    assert collector.gaps == []


async def test_a_session_that_is_lost_is_a_gap(mosquitto: Mosquitto, make_link: MakeLink, collector: Collector) -> None:
    make_link(mosquitto.url)
    await collector.connected()
    mosquitto.kill()
    mosquitto.start()
    await collector.until(lambda: collector.gaps)

    assert collector.gaps == ["main"]


async def test_a_port_that_refuses_is_named_until_it_opens(make_link: MakeLink, collector: Collector) -> None:
    with Mosquitto() as other:
        broker = Mosquitto()
        make_link(broker.url)
        await collector.until(lambda: collector.states)
        assert "connection refused" in (collector.states[-1].reason or "")
        with broker:
            await collector.connected()
            await hears(broker.port, collector)
    assert other.port != broker.port


async def test_a_broker_that_comes_back_on_another_port_first_is_followed_when_ours_opens(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """As brokers with several listeners do, and those that are restarted with a wrong file and then the right one."""
    ours, elsewhere = mosquitto.port, free_port()
    make_link(mosquitto.url)
    await collector.connected()
    mosquitto.stop()
    mosquitto.port = elsewhere
    mosquitto.start()
    state = await collector.disconnected()
    await collector.until(lambda: "connection refused" in (collector.states[-1].reason or ""))
    assert state.state == "waiting"

    mosquitto.stop()
    mosquitto.port = ours
    mosquitto.start()
    await collector.connected()
    await hears(ours, collector)


async def test_the_next_url_is_taken_at_once_and_the_first_again_when_it_answers(
    make_link: MakeLink, collector: Collector
) -> None:
    first = Mosquitto()
    with Mosquitto() as second:
        make_link(first.url, second.url, backoff=Backoff(min=0.05, max=0.2, stable=0.2))
        await collector.connected()
        assert [state.url for state in collector.states] == [second.url]
        with first:
            await collector.until(lambda: collector.states[-1].url == first.url)
            await collector.connected()
            await hears(first.port, collector)


async def test_with_prefer_first_off_a_failover_is_for_good(make_link: MakeLink, collector: Collector) -> None:
    first = Mosquitto()
    with Mosquitto() as second:
        backoff = Backoff(min=0.05, max=0.2, stable=0.1)
        make_link(first.url, second.url, backoff=backoff, prefer_first=False)
        await collector.connected()
        with first:
            await asyncio.sleep(0.5)
            assert "probe" not in first.log

    assert {state.url for state in collector.states if state.state == "connected"} == {second.url}


async def test_a_broker_that_never_answers_connect_is_given_up(
    make_link: MakeLink, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER_LIMIT", 0.3)
    async with FakeBroker(on_connect=ignore) as broker:
        make_link(broker.url)
        await collector.until(lambda: collector.states)
        assert collector.states[-1].reason == "no CONNACK from the broker within 0.3 s"

        broker.on_connect = FakeBroker().on_connect
        await collector.connected()


async def test_a_broker_that_never_answers_subscribe_is_given_up(
    make_link: MakeLink, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER_LIMIT", 0.3)
    async with FakeBroker(on_subscribe=ignore) as broker:
        make_link(broker.url)
        await collector.until(lambda: collector.states)
        assert collector.states[-1].reason == "no SUBACK from the broker within 0.3 s"

        broker.on_subscribe = FakeBroker().on_subscribe
        await collector.connected()


@pytest.mark.slow
async def test_a_broker_that_closes_right_after_connack_is_not_stormed(
    make_link: MakeLink, collector: Collector
) -> None:
    async def slam(peer: Peer) -> None:
        peer.accept()
        await peer.drain()
        peer.close()

    async with FakeBroker(on_connect=slam) as broker:
        make_link(broker.url, protocol="5", backoff=Backoff(min=0.1, max=0.4, stable=30))
        await asyncio.sleep(3)

        # Waits of 0.1 to 0.4 s, growing: 3 s hold 8 to 25 of them.
        assert 5 <= len(broker.peers) <= 25
        assert set(collector.history) == {"waiting"}
        # One line per change, not per try.
        assert len(collector.states) == 1


@pytest.mark.slow
async def test_a_broker_that_closes_after_suback_is_not_stormed_either(
    make_link: MakeLink, collector: Collector
) -> None:
    """The wait grows although every connection succeeds: only a link that stood for `stable` starts again at min."""

    async def slam(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0] * len(filters))
        await peer.drain()
        peer.close()

    async with FakeBroker(on_subscribe=slam) as broker:
        make_link(broker.url, backoff=Backoff(min=0.02, max=1.0, stable=30))
        await asyncio.sleep(3)

        # Drawn 20,000 times: 11 in the median, 38 at most. Without growth they would be 68, give or take 5.
        assert len(broker.peers) <= 50


async def test_a_takeover_that_the_broker_names_is_answered_by_a_long_wait(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url, protocol="5", backoff=Backoff(min=0.01, max=0.5, stable=30))
        await collector.connected()
        broker.peer.send(packets.disconnect(0x8E))
        state = await collector.disconnected()

        assert state.reason == "another client has come with our client id, gateway-under-test"
        assert state.state == "waiting"
        # The slow class of waits: at least the longest ordinary one.
        assert state.retry_in is not None
        assert state.retry_in >= 0.5
        assert link.counters.takeovers == 1
        await collector.connected()


@pytest.mark.slow
async def test_two_gateways_with_one_client_id_do_not_storm_the_broker(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """Mosquitto 2.0 does not say who took over; both see their connection closed, and wait longer each time."""
    backoff = Backoff(min=0.2, max=1.0, stable=30)
    for _ in range(2):
        make_link(mosquitto.url, backoff=backoff)
    await collector.until(lambda: any("another client with the id" in str(state.reason) for state in collector.states))
    before = mosquitto.log.count("already connected, closing old")
    await asyncio.sleep(3)

    assert mosquitto.log.count("already connected, closing old") - before <= 20


@pytest.mark.parametrize("keepalive", [1.0, 2.0])
async def test_a_half_open_link_is_found_in_time(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, keepalive: float
) -> None:
    async with BrokerProxy(mosquitto.port) as proxy:
        make_link(proxy.url, keepalive=keepalive)
        await collector.connected()
        await hears(mosquitto.port, collector)
        proxy.swallow = True
        begin = time.monotonic()
        state = await collector.disconnected()

        assert time.monotonic() - begin <= keepalive * 1.5 + 1
        assert state.reason == "no answer from the broker within the keep-alive time"
        proxy.swallow = False
        await collector.connected()


async def test_a_frozen_broker_is_found_in_time_and_followed_when_it_thaws(
    broker: Mosquitto | Nats, make_link: MakeLink, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER_LIMIT", 0.5)
    make_link(broker.url, keepalive=1.0)
    await collector.connected()
    broker.suspend()
    begin = time.monotonic()
    try:
        await collector.disconnected()
        assert time.monotonic() - begin <= 2.5
    finally:
        broker.resume()
    await collector.connected()
    await hears(broker.port, collector)


async def test_pings_are_sent_when_nothing_else_is(make_link: MakeLink, collector: Collector) -> None:
    """And CONNECT carries 0.6 × keepalive, so that a silent link is found within 1.5 × keepalive + 1 s."""
    async with FakeBroker() as broker:
        make_link(broker.url, keepalive=2.0)
        await collector.connected()
        await broker.until(lambda: broker.peer.pings >= 2)

        connect = broker.peer.connect
        assert connect is not None
        assert connect.keepalive == 1
        assert collector.history == ["connected"]


@pytest.mark.slow
async def test_a_slow_large_message_does_not_look_like_silence(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """The PINGRESP stands behind the message for longer than the keep-alive (paho #914)."""
    async with BrokerProxy(mosquitto.port) as proxy:
        big = (UpstreamTopic(filter="big", qos=1),)
        link = make_link(proxy.url, keepalive=1.0, topics=big, link_options={"payload_limit": 16 * 1024 * 1024})
        await collector.connected()
        proxy.bandwidth = 2_500_000
        with MqttPublisher(mosquitto.port) as publisher:
            publisher.publish("big", bytes(10_000_000), qos=1)
        await asyncio.sleep(1.3)
        while not collector.messages and collector.history == ["connected"]:
            # With these going out no other ping is due, and the first one is older than the keep-alive.
            link.publish("small", b"", qos=0, retain=False, done=collector.done)
            await asyncio.sleep(0.2)

        assert collector.history == ["connected"]
        assert len(collector.messages[0].payload) == 10_000_000


@pytest.mark.slow
async def test_a_loop_that_stood_still_does_not_blame_the_broker(make_link: MakeLink, collector: Collector) -> None:
    """As after a suspend, or a slow callback: the answer to the ping is older than allowed, but on its way."""
    async with FakeBroker() as broker:
        broker.answers_pings = False
        link = make_link(broker.url, keepalive=1.0)
        await collector.connected()
        await broker.until(lambda: broker.peer.pings)
        time.sleep(1.5)  # noqa: ASYNC251 - that is the fault
        await asyncio.sleep(0.05)
        broker.peer.send(b"\xd0\x00")
        broker.answers_pings = True
        await asyncio.sleep(1.5)

        assert collector.history == ["connected"]
        assert link.counters.reconnects == 0


async def test_a_slow_lossy_jittery_link_brings_everything_in_order(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    async with BrokerProxy(mosquitto.port) as proxy:
        proxy.latency, proxy.jitter, proxy.loss, proxy.bandwidth = 0.02, 0.05, 0.05, 200_000
        make_link(proxy.url)
        await collector.connected()
        with MqttPublisher(mosquitto.port) as publisher:
            for number in range(500):
                publisher.publish("a", str(number), qos=1)
        await collector.until(lambda: len(collector.messages) >= 500, 30)

        assert collector.payloads == [b"%d" % number for number in range(500)]
        assert collector.history == ["connected"]


async def test_a_link_that_damages_bytes_is_survived(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """Values may be wrong then, which only TLS can see; the link says what it could not read, and comes back."""
    async with BrokerProxy(mosquitto.port) as proxy:
        link = make_link(proxy.url, backoff=Backoff(min=0.01, max=0.05, stable=30))
        await collector.connected()
        proxy.corrupt = 300
        with MqttPublisher(mosquitto.port) as publisher:
            for number in itertools.count():
                publisher.publish(f"a/{number}", str(number), qos=1)
                if number % 20 == 0:
                    await asyncio.sleep(0.02)
                if len(collector.states) >= 10:
                    break
        proxy.corrupt = 0
        await collector.connected()
        await hears(mosquitto.port, collector)

        reasons = {str(state.reason) for state in collector.states if state.state != "connected"}
        assert any(reason.startswith("the broker sent") for reason in reasons)
        assert link.counters.reconnects >= 3


async def test_resets_and_half_closes_are_mended(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    async with BrokerProxy(mosquitto.port) as proxy:
        make_link(proxy.url)
        await collector.connected()
        for number, fault in enumerate((proxy.reset, proxy.half_close, proxy.reset)):
            fault()
            await collector.disconnected()
            await collector.connected()
            await hears(mosquitto.port, collector, str(number))


async def test_a_stalled_link_catches_up(mosquitto: Mosquitto, make_link: MakeLink, collector: Collector) -> None:
    async with BrokerProxy(mosquitto.port) as proxy:
        make_link(proxy.url)
        await collector.connected()
        proxy.stall()
        with MqttPublisher(mosquitto.port) as publisher:
            for number in range(100):
                publisher.publish("a", str(number), qos=1)
        await asyncio.sleep(0.5)
        proxy.resume()
        await collector.until(lambda: len(collector.messages) == 100)

        assert collector.history == ["connected"]


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "up", "down"), [(6, 0.6, 0.3), (60, 2, 2)])
async def test_a_flapping_link_loses_nothing_at_qos_1(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, seconds: float, up: float, down: float
) -> None:
    sent = 0
    async with BrokerProxy(mosquitto.port) as proxy:
        link = make_link(proxy.url)
        await collector.connected()
        with MqttPublisher(mosquitto.port) as publisher:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for _ in range(20):
                    publisher.publish("a", str(sent), qos=1)
                    sent += 1
                await asyncio.sleep(up)
                proxy.refuse = True
                proxy.reset()
                await asyncio.sleep(down)
                proxy.refuse = False
        await collector.until(lambda: len(collector.messages) >= sent, 20)

    assert sorted(set(map(int, collector.payloads))) == list(range(sent))
    assert link.counters.reconnects >= seconds / (up + down) / 2


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], None]]:
    """What the resolver does for a name before it answers 127.0.0.1; it fails for names that are not here."""
    table: dict[str, Callable[[], None]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "127.0.0.1":
            return real(host, *arguments, **options)
        if host not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        table[host]()
        return real("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


async def test_a_name_that_fails_and_then_resolves(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, names: dict[str, Callable[[], None]]
) -> None:
    make_link(f"mqtt://broker.example.org:{mosquitto.port}")
    await collector.until(lambda: collector.states)
    assert collector.states[-1].reason == "name not resolved: Name or service not known"

    names["broker.example.org"] = lambda: None
    await collector.connected()


async def test_a_resolver_that_hangs_blocks_nothing(
    mosquitto: Mosquitto,
    make_link: MakeLink,
    collector: Collector,
    names: dict[str, Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "CONNECT_LIMIT", 0.4)
    names["broker.example.org"] = lambda: time.sleep(1.5)
    link = make_link(f"mqtt://broker.example.org:{mosquitto.port}", mosquitto.url)
    worst = 0.0
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        worst = max(worst, time.monotonic() - before)
    await collector.connected()
    begin = time.monotonic()
    await link.stop()

    assert worst < 0.1
    assert time.monotonic() - begin < 0.5


def crowd(port: int) -> list[MqttPublisher]:
    """As many clients as the broker takes; which is not quite its limit, since it counts some that are gone."""
    guests: list[MqttPublisher] = []
    while len(guests) < 10:
        try:
            guests.append(MqttPublisher(port))
        except ConnectionError:
            return guests
    raise AssertionError("the broker has no limit")


async def test_a_broker_at_its_connection_limit(make_link: MakeLink, collector: Collector) -> None:
    with Mosquitto(config="max_connections 2") as broker:
        guests = crowd(broker.port)
        make_link(broker.url)
        await collector.until(lambda: collector.states)
        assert collector.states[-1].state == "waiting"

        for guest in guests:
            guest.close()
        await collector.connected()


async def test_wrong_credentials_are_a_state_of_their_own_and_tried_slowly(
    make_link: MakeLink, collector: Collector
) -> None:
    async def refuse(peer: Peer) -> None:
        peer.send(packets.connack(0x86 if peer.version == 5 else 4, version=peer.version))

    async with FakeBroker(on_connect=refuse) as broker:
        make_link(broker.url, backoff=Backoff(min=0.01, max=0.3, stable=30))
        await collector.until(lambda: collector.states)
        state = collector.states[-1]
        assert (state.state, state.reason) == ("refused", "the broker refused us: Bad user name or password")
        assert state.retry_in is not None
        assert state.retry_in >= 0.3

        broker.on_connect = FakeBroker().on_connect
        await collector.connected()


async def test_one_line_is_logged_per_change_not_per_try(
    make_link: MakeLink, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Mosquitto()
    with caplog.at_level("INFO", "gateway.upstream"):
        link = make_link(broker.url, broker.url.replace("127.0.0.1", "localhost"), backoff=QUICK)
        await asyncio.sleep(1.5)
        tries = link.counters.failures
        with broker:
            await collector.connected()

    lines = [record.getMessage() for record in caplog.records if record.name == "gateway.upstream"]
    assert tries > 6
    assert [line.split(":")[1].split()[0] for line in lines] == ["waiting", "connected"]


async def test_sigterm_of_the_broker_under_load_loses_nothing_it_kept(
    make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    """Whatever the broker has confirmed to the publisher comes, over a clean restart with persistence."""
    with Mosquitto(persistence_dir=tmp_path) as broker:
        make_link(broker.url)
        await collector.connected()
        publisher = MqttPublisher(broker.port)
        for number in range(300):
            publisher.publish("a", str(number), qos=1)
        broker.stop()
        publisher.close()
        broker.start()
        with MqttPublisher(broker.port) as publisher:
            for number in range(300, 400):
                publisher.publish("a", str(number), qos=1)
        await collector.until(lambda: len(set(collector.payloads)) == 400)
