"""A broker that breaks the protocol or makes hard use of it: the link says what was wrong, and goes on."""

import asyncio
import resource
from collections.abc import Awaitable, Callable

import pytest
from support import mqttpackets as packets
from support.fakebroker import FakeBroker, Peer, resume
from support.links import Collector, MakeLink, settings

from gateway.config import UpstreamTopic
from gateway.hub.message import Message
from gateway.upstream.link import Link

GARBAGE = {
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9,
    "reserved type": b"\xf0\x00",
    "qos 3": b"\x36\x05\x00\x01a\x00\x01",
    "long length": b"\x30\xff\xff\xff\xff\x7f",
    "256 MiB": b"\x30\xff\xff\xff\x7f\x00\x01a",
    "topic beyond the packet": b"\x30\x03\x00\xffa",
    "connack twice": b"\x20\x02\x00\x00\x20\x01\x00",
    "suback too short": b"\x90\x01\x00",
    "noise": bytes(range(255, 0, -7)) * 20,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_garbage_ends_the_connection_and_the_next_one_works(
    make_link: MakeLink, collector: Collector, garbage: bytes, protocol: str
) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url, protocol=protocol)
        await collector.connected()
        broker.peer.send(garbage)
        await broker.peer.drain()
        state = await collector.disconnected()
        assert state.reason

        await collector.connected()
        broker.peer.publish("a", b"fine")
        await collector.until(lambda: collector.payloads == [b"fine"])
        assert link.connected


async def test_256_mib_are_refused_by_name_and_not_collected(make_link: MakeLink, collector: Collector) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="3.1.1")
        await collector.connected()
        broker.peer.send(b"\x34\xff\xff\xff\x7f\x00\x01a\x00\x01" + bytes(1_000_000))
        state = await collector.disconnected()

        assert "sent a packet of 268435455 bytes" in (state.reason or "")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_a_truncated_packet_is_a_lost_connection(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url)
        await collector.connected()
        broker.peer.send(packets.publish("a", b"whole", properties=b"") + packets.publish("a", b"cut")[:5])
        await broker.peer.drain()
        broker.peer.close()
        await collector.disconnected()

        assert collector.payloads == [b"whole"]
        await collector.connected()


async def test_one_byte_at_a_time_is_slow_and_nothing_else(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="5")
        await collector.connected()
        for byte in packets.publish("a/b", b"dripping payload", properties=packets.alias(1)):
            broker.peer.send(bytes([byte]))
            await asyncio.sleep(0.06)
        await collector.until(lambda: collector.messages)

    assert collector.payloads == [b"dripping payload"]
    assert collector.history == ["connected"]


@pytest.mark.parametrize("topic", [b"\xff\xfe", b"a/+/b", b"a\x00b", b"a\x1b[31m", "\u202eabc".encode()])
async def test_a_message_with_an_invalid_topic_is_dropped_and_counted(
    make_link: MakeLink, collector: Collector, topic: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url)
        await collector.connected()
        broker.peer.publish(topic, b"bad")
        broker.peer.publish("good", b"good")
        await collector.until(lambda: collector.messages)

        assert collector.payloads == [b"good"]
        assert link.counters.malformed == 1
        assert collector.history == ["connected"]
    dropped = [message for message in caplog.messages if "are dropped" in message]
    assert len(dropped) == 1
    assert dropped[0].isascii()
    assert dropped[0].isprintable()


@pytest.mark.parametrize("qos", [1, 2])
async def test_qos_2_with_an_invalid_topic_or_a_large_payload(
    make_link: MakeLink, collector: Collector, qos: int
) -> None:
    """QoS 2 goes through paho, whose handler must never raise: it would see the same packet for ever."""
    async with FakeBroker() as broker:
        make_link(broker.url, topics=(UpstreamTopic(filter="#", qos=2),), link_options={"payload_limit": 1000})
        await collector.connected()
        for mid, (topic, payload) in enumerate([(b"\xff", b"bad"), (b"big", bytes(300_000)), (b"ok", b"v")], 1):
            broker.peer.publish(topic, payload, qos=qos, mid=mid)
            if qos == 2:
                broker.peer.send(packets.packet(0x62, mid.to_bytes(2, "big")))
        await collector.until(lambda: len(collector.messages) == 2)

    assert [(m.topic, m.payload, m.size) for m in collector.messages] == [("big", b"", 300_000), ("ok", b"v", 0)]


async def test_a_refused_filter_is_named_and_the_others_are_followed(make_link: MakeLink, collector: Collector) -> None:
    async def refuse_second(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0, 0x87 if peer.version == 5 else 0x80, 1])

    topics = tuple(UpstreamTopic(filter=filter, qos=1) for filter in ("a", "secret/#", "b"))
    async with FakeBroker(on_subscribe=refuse_second) as broker:
        link = make_link(broker.url, topics=topics)
        await collector.connected()

        assert collector.states[-1].reason == ('the broker refused 1 of 3 filters: "secret/#" (Not authorized)')
        assert [grant.qos for grant in link.grants] == [0, None, 1]
        broker.peer.publish("b", b"v")
        await collector.until(lambda: collector.messages)


async def test_a_broker_that_refuses_every_filter_is_a_refusal(make_link: MakeLink, collector: Collector) -> None:
    async def refuse(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0x80] * len(filters))

    async with FakeBroker(on_subscribe=refuse) as broker:
        make_link(broker.url)
        await collector.until(lambda: collector.states)

        assert collector.states[-1].state == "refused"


async def test_a_suback_with_too_few_codes_counts_as_refusals(make_link: MakeLink, collector: Collector) -> None:
    async def answer_one(peer: Peer, mid: int, filters: list[tuple[str, int]]) -> None:
        peer.grant(mid, [0])

    async with FakeBroker(on_subscribe=answer_one) as broker:
        make_link(broker.url, topics=(UpstreamTopic(filter="a"), UpstreamTopic(filter="b")))
        await collector.connected()

        assert "1 of 2 filters" in (collector.states[-1].reason or "")


@pytest.mark.parametrize("how", ["connack 0x84", "connack 1", "close", "reset"])
async def test_auto_falls_back_to_3_1_1_at_once(make_link: MakeLink, collector: Collector, how: str) -> None:
    async def only_3(peer: Peer) -> None:
        if peer.version == 4:
            peer.accept()
            return
        if how.startswith("connack"):
            peer.send(packets.connack(0x84, version=5) if how.endswith("0x84") else packets.connack(1))
            await peer.drain()
        if how == "reset":
            peer.reset()
        else:
            peer.close()

    async with FakeBroker(on_connect=only_3) as broker:
        make_link(broker.url)
        await collector.connected()
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()

        # The second time it is known.
        assert [peer.version for peer in broker.peers] == [5, 4, 4]
        assert collector.history == ["connected", "waiting", "connected"]


@pytest.mark.parametrize(("protocol", "version"), [("5", 5), ("3.1.1", 4)])
async def test_a_fixed_version_is_kept(make_link: MakeLink, collector: Collector, protocol: str, version: int) -> None:
    async def refuse(peer: Peer) -> None:
        peer.close()

    async with FakeBroker(on_connect=refuse) as broker:
        link = make_link(broker.url, protocol=protocol)
        await broker.until(lambda: sum(peer.connect is not None for peer in broker.peers) >= 3)
        await link.stop()

        assert {peer.version for peer in broker.peers if peer.connect is not None} == {version}


async def test_connect_carries_what_the_settings_say(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="5", session_expiry=7200.0, receive_maximum=77, keepalive=30.0)
        await collector.connected()
        connect = broker.peer.connect
        assert connect is not None

    assert (connect.client_id, connect.keepalive, connect.clean) == ("gateway-under-test", 18, False)
    assert b"\x11" + (7200).to_bytes(4, "big") in connect.properties
    assert b"\x21" + (77).to_bytes(2, "big") in connect.properties
    assert b"\x22" + (128).to_bytes(2, "big") in connect.properties
    assert b"\x27" + (256 * 1024 + 16 * 1024 * 1024).to_bytes(4, "big") in connect.properties


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_without_session_expiry_every_session_is_clean(
    make_link: MakeLink, collector: Collector, protocol: str
) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol=protocol, session_expiry=0.0)
        await collector.connected()
        assert broker.peer.connect is not None
        assert broker.peer.connect.clean


async def test_aliases_are_allowed_only_where_paho_never_sees_them(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, protocol="5", topics=(UpstreamTopic(filter="#", qos=2),))
        await collector.connected()
        assert broker.peer.connect is not None
        assert b"\x22\x00\x80" not in broker.peer.connect.properties


async def test_subscriptions_are_sent_on_every_connect_and_ask_for_retained_values_where_some_may_be_missed(
    make_link: MakeLink, collector: Collector
) -> None:
    topics = (UpstreamTopic(filter="zero"), UpstreamTopic(filter="one", qos=1))
    async with FakeBroker(on_connect=resume) as broker:
        make_link(broker.url, protocol="5", topics=topics)
        await collector.connected()
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()

        # Options: QoS in bits 0-1, retain handling in bits 4-5 (MQTT 5.0, 3.8.3.1).
        assert [peer.filters for peer in broker.peers] == [[("zero", 0), ("one", 1)], [("zero", 0), ("one", 0x11)]]
        # The session is there, but no session keeps QoS 0.
        assert collector.gaps == ["main"]


Accept = Callable[[Peer], Awaitable[None]]


def terms(properties: bytes) -> Accept:
    async def accept(peer: Peer) -> None:
        peer.accept(properties=properties)

    return accept


@pytest.mark.parametrize(
    ("properties", "qos", "retain", "size", "reason"),
    [
        (b"\x24\x00", 1, False, 1, "unsupported: the broker takes QoS 0 at most"),
        (b"\x25\x00", 0, True, 1, "unsupported: the broker keeps no retained messages"),
        (b"\x27\x00\x00\x00\x64", 0, False, 200, "too-large: the broker takes packets of 100 bytes at most"),
    ],
)
async def test_what_the_broker_does_not_take_is_refused_here(
    make_link: MakeLink, collector: Collector, properties: bytes, qos: int, retain: bool, size: int, reason: str
) -> None:
    async with FakeBroker(on_connect=terms(properties)) as broker:
        link = make_link(broker.url, protocol="5")
        await collector.connected()
        link.publish("a", bytes(size), qos=qos, retain=retain, done=collector.done)
        await collector.until(lambda: collector.answers)

        assert collector.answers == [reason]
        assert broker.peer.published == []


async def test_the_brokers_receive_maximum_is_kept_also_when_messages_are_sent_again(
    make_link: MakeLink, collector: Collector
) -> None:
    """paho ignores it, and sends everything again at once after a reconnect (its pull request #698)."""
    held: list[int] = []

    async def hold(peer: Peer, published: packets.Published) -> None:
        held.append(published.mid)

    async with FakeBroker(on_connect=terms(b"\x21\x00\x02"), on_publish=hold) as broker:
        link = make_link(broker.url, protocol="5")
        await collector.connected()
        for number in range(10):
            link.publish("a", b"%d" % number, qos=1, retain=False, done=collector.done)
        await broker.until(lambda: len(held) == 2)
        await asyncio.sleep(0.2)
        assert len(held) == 2

        broker.peer.close()
        await collector.disconnected()
        await collector.connected()
        await broker.until(lambda: broker.peer.published)
        await asyncio.sleep(0.2)
        assert [(published.payload, published.dup) for published in broker.peer.published] == [
            (b"0", True),
            (b"1", True),
        ]

        broker.on_publish = FakeBroker().on_publish
        for published in broker.peer.published:
            broker.peer.send(b"\x40\x02" + published.mid.to_bytes(2, "big"))
        await collector.until(lambda: len(collector.answers) == 10)

    assert collector.answers == [None] * 10


async def test_a_refused_publish_is_answered_with_the_brokers_reason(make_link: MakeLink, collector: Collector) -> None:
    async def refuse(peer: Peer, published: packets.Published) -> None:
        peer.send(packets.packet(0x40, published.mid.to_bytes(2, "big") + b"\x87"))

    async with FakeBroker(on_publish=refuse) as broker:
        link = make_link(broker.url, protocol="5")
        await collector.connected()
        link.publish("a", b"v", qos=1, retain=False, done=collector.done)
        await collector.until(lambda: collector.answers)

    assert collector.answers == ["forbidden: the broker refused it: Not authorized"]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_disconnect_right_after_the_birth_is_named(make_link: MakeLink, collector: Collector, how: str) -> None:
    async def cut(peer: Peer, published: packets.Published) -> None:
        getattr(peer, how)()

    async with FakeBroker(on_publish=cut) as broker:
        make_link(broker.url, status="sensor-gateway/{name}/status")
        await collector.connected()
        state = await collector.disconnected()
        assert broker.peers[0].published[0].topic == "sensor-gateway/sensor-gateway/status"

    assert state.reason == "broker closed after our birth message: not allowed to publish?"


async def test_birth_and_will_are_retained_and_say_what_they_mean(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        link = make_link(broker.url, status="status/{name}", link_options={"gateway": "box"})
        await collector.connected()
        await broker.until(lambda: broker.peer.published)
        await link.stop()
        await broker.until(lambda: broker.peer.said_goodbye)

        assert broker.peer.connect is not None
        assert broker.peer.connect.will == ("status/box", b"offline", True)
        assert [(p.topic, p.payload, p.retain) for p in broker.peer.published] == [
            ("status/box", b"online", True),
            ("status/box", b"offline", True),
        ]


async def test_the_birth_keeps_to_what_the_broker_takes(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker(on_connect=terms(b"\x24\x00\x25\x00")) as broker:
        make_link(broker.url, protocol="5", status="status/{name}")
        await collector.connected()
        await broker.until(lambda: broker.peer.published)

        birth = broker.peer.published[0]
        assert (birth.payload, birth.qos, birth.retain) == (b"online", 0, False)


async def test_qos_1_is_acknowledged_only_when_durable_and_in_order(make_link: MakeLink, collector: Collector) -> None:
    collector.hold = True
    async with FakeBroker() as broker:
        make_link(broker.url, link_options={"durable": True})
        await collector.connected()
        broker.peer.publish("a", b"1", qos=1, mid=11)
        await collector.until(lambda: len(collector.durables) == 1)
        broker.peer.publish("a", b"2", qos=1, mid=22)
        await collector.until(lambda: len(collector.durables) == 2)
        collector.durables[1]()
        await asyncio.sleep(0.1)
        assert broker.peer.acknowledged == []

        collector.durables[0]()
        await broker.until(lambda: len(broker.peer.acknowledged) == 2)
        assert broker.peer.acknowledged == [11, 22]


async def test_durable_of_an_earlier_connection_acknowledges_nothing(make_link: MakeLink, collector: Collector) -> None:
    """The number may belong to another message by then (paho.golang #160)."""

    collector.hold = True
    async with FakeBroker(on_connect=resume) as broker:
        make_link(broker.url, link_options={"durable": True})
        await collector.connected()
        broker.peer.publish("a", b"1", qos=1, mid=7)
        await collector.until(lambda: collector.durables)
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()

        broker.peer.publish("a", b"1", qos=1, mid=7, dup=True)
        broker.peer.publish("b", b"2", qos=1, mid=8)
        await collector.until(lambda: len(collector.durables) == 2)
        collector.durables[0]()
        await asyncio.sleep(0.1)
        assert broker.peer.acknowledged == []
        collector.durables[1]()
        await broker.until(lambda: len(broker.peer.acknowledged) == 2)

        assert broker.peer.acknowledged == [7, 8]
        assert collector.payloads == [b"1", b"2"]


async def test_what_an_earlier_run_made_durable_is_acknowledged_and_not_published_again(
    collector: Collector,
) -> None:
    """After a kill between the commit and the PUBACK; another message under the same number is no repetition."""

    async def find(peer: Peer) -> None:
        peer.accept(session_present=True)

    earlier = [Message("p/a", b"old", 1.0, "main", mid=3), Message("p/b", b"old", 1.0, "main", mid=4)]
    async with FakeBroker(on_connect=find) as broker:
        link = Link(
            settings(broker.url, prefix="p/"),
            publisher=collector,
            listener=collector,
            loop=asyncio.get_running_loop(),
            durable=True,
        )
        link.remember(earlier)
        link.start()
        await collector.connected()
        broker.peer.publish("a", b"old", qos=1, mid=3, dup=True)
        broker.peer.publish("b", b"new", qos=1, mid=4, dup=True)
        broker.peer.publish("a", b"old", qos=1, mid=5)
        await broker.until(lambda: len(broker.peer.acknowledged) == 3)
        await link.stop()

    assert [(message.topic, message.payload, message.mid) for message in collector.messages] == [
        ("p/b", b"new", 4),
        ("p/a", b"old", 5),
    ]
    assert link.counters.repeated == 1


async def test_qos_2_filters_are_subscribed_at_qos_1_where_messages_must_be_durable(
    make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url, topics=(UpstreamTopic(filter="#", qos=2),), link_options={"durable": True})
        await collector.connected()

        assert [options & 3 for _, options in broker.peer.filters] == [1]


async def test_the_servers_keep_alive_is_kept_where_it_is_shorter(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker(on_connect=terms(b"\x13\x00\x01")) as broker:
        make_link(broker.url, protocol="5", keepalive=60.0)
        await collector.connected()
        await broker.until(lambda: broker.peer.pings, 3)


async def test_a_fault_in_the_publisher_does_not_make_the_link_blind(
    make_link: MakeLink, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = collector.publish, asyncio.Event()

    def fail_once(messages: object, durable: object = None) -> None:
        monkeypatch.setattr(collector, "publish", real)
        failed.set()
        raise RuntimeError("a fault")

    seen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context))
    async with FakeBroker() as broker:
        make_link(broker.url)
        await collector.connected()
        monkeypatch.setattr(collector, "publish", fail_once)
        broker.peer.publish("a", b"1")
        await failed.wait()
        broker.peer.publish("a", b"2")
        await collector.until(lambda: collector.messages)

    assert collector.payloads == [b"2"]
    assert [type(context["exception"]) for context in seen] == [RuntimeError]
