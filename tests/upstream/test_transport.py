"""The ways to a broker: TLS with client certificates, WebSocket, Unix socket, and certificates that are wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support import mqttpackets as packets
from support.authority import Authority
from support.fakebroker import FakeBroker
from support.links import Collector, MakeLink
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher

from gateway.config import UpstreamTls
from gateway.upstream import bufferedsocket


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_tls_with_an_own_ca_and_a_client_certificate(
    make_link: MakeLink, collector: Collector, authority: Authority, scheme: str
) -> None:
    server, client = authority.issue(), authority.issue("gateway@example.org")
    config = f"cafile {authority.ca}\ncertfile {server.certificate}\nkeyfile {server.key}\nrequire_certificate true\n"
    with Mosquitto(config=config, scheme=scheme, anonymous=True) as broker:
        tls = UpstreamTls(ca=authority.ca, certificate=client.certificate, key=client.key)
        link = make_link(broker.url, tls=tls)
        await collector.connected()
        link.publish("a", b"v" * 100_000, qos=1, retain=False, done=lambda failure: None)
        await collector.until(lambda: collector.messages)

    assert collector.payloads == [b"v" * 100_000]


async def test_many_messages_in_one_tls_record_all_arrive(
    make_link: MakeLink, collector: Collector, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pending inside OpenSSL makes no socket readable (paho #131); a small recv leaves something there."""
    monkeypatch.setattr(bufferedsocket, "RECEIVE", 1000)
    async with FakeBroker(tls=authority.issue().server_context()) as broker:
        make_link(broker.url, tls=UpstreamTls(ca=authority.ca))
        await collector.connected()
        version = None if broker.peer.version == 4 else b""
        broker.peer.send(b"".join(packets.publish("a", b"%d" % n, properties=version) for n in range(2000)))
        await collector.until(lambda: len(collector.messages) == 2000)


async def test_websocket(make_link: MakeLink, collector: Collector) -> None:
    with Mosquitto(scheme="ws") as broker:
        link = make_link(broker.url)
        await collector.connected()
        for number in range(300):
            link.publish("a", b"%d" % number, qos=1, retain=False, done=lambda failure: None)
        await collector.until(lambda: len(collector.messages) == 300)
    assert collector.payloads == [b"%d" % number for number in range(300)]


async def test_a_unix_socket(make_link: MakeLink, collector: Collector, tmp_path: Path) -> None:
    path = tmp_path / "broker.sock"
    with Mosquitto(config=f"listener 0 {path}") as broker:
        make_link(f"unix://{path}")
        await collector.connected()
        with MqttPublisher(broker.port) as publisher:
            publisher.publish("a", "v")
        await collector.until(lambda: collector.messages)


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("identities", "period", "reason"),
    [
        (("localhost",), (NOW - timedelta(days=30), NOW - timedelta(days=1)), "broker certificate has expired"),
        (("elsewhere.example.org",), (None, None), "broker certificate is not for localhost"),
        (("localhost",), (NOW + timedelta(days=1), NOW + timedelta(days=30)), "broker certificate is not valid yet"),
    ],
)
async def test_a_wrong_certificate_is_named_and_a_good_one_is_taken_by_itself(
    make_link: MakeLink,
    collector: Collector,
    authority: Authority,
    identities: tuple[str, ...],
    period: tuple[datetime | None, datetime | None],
    reason: str,
) -> None:
    wrong = authority.issue(*identities, not_before=period[0], not_after=period[1])
    async with FakeBroker(tls=wrong.server_context()) as broker:
        port = broker.port
        link = make_link(broker.url, tls=UpstreamTls(ca=authority.ca))
        await collector.until(lambda: collector.states)

        assert (collector.states[-1].reason or "").startswith(reason)
        assert collector.history == ["waiting"]
        assert link.clock_suspect == ("not valid yet" in reason)
    async with FakeBroker(port=port, tls=authority.issue().server_context()):
        await collector.connected()

        assert not link.clock_suspect


async def test_an_unknown_authority_is_refused_and_named(
    make_link: MakeLink, collector: Collector, authority: Authority, tmp_path: Path
) -> None:
    async with FakeBroker(tls=authority.issue().server_context()) as broker:
        make_link(broker.url, tls=UpstreamTls(ca=Authority(tmp_path).ca))
        await collector.until(lambda: collector.states)

        assert "authority unknown here" in (collector.states[-1].reason or "")


async def test_insecure_believes_anybody_and_says_so_at_every_connect(
    make_link: MakeLink,
    collector: Collector,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrong = authority.issue("elsewhere.example.org")
    async with FakeBroker(tls=wrong.server_context()) as broker:
        make_link(broker.url, tls=UpstreamTls(insecure=True))
        await collector.connected()
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()

    assert sum("tls.insecure" in message for message in caplog.messages) == 2


async def test_a_server_without_websocket_is_named(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        broker.greeting = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        make_link(f"ws://127.0.0.1:{broker.port}/mqtt")
        await collector.until(lambda: collector.states)

        assert "WebSocket handshake failed" in (collector.states[-1].reason or "")
