"""A link against real brokers: what it follows, what it says, what it publishes."""

import asyncio
import base64
import hashlib
import time
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support.fakebroker import FakeBroker, ignore
from support.links import Collector, MakeLink, settings
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.nats import Nats

from gateway.config import UpstreamTopic

ALL = (UpstreamTopic(filter="#", qos=1),)
Broker = Mosquitto | Nats


@pytest.fixture(params=["mosquitto", "nats"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Mosquitto | Nats)
    return found


async def test_messages_of_every_qos_arrive_once_in_order(
    broker: Broker, make_link: MakeLink, collector: Collector
) -> None:
    make_link(broker.url, topics=(UpstreamTopic(filter="sensors/#", qos=2),))
    await collector.connected()
    with MqttPublisher(broker.port) as publisher:
        for number in range(200):
            publisher.publish(f"sensors/{number % 5}", str(number), qos=number % 2)
        publisher.publish("other", "not asked for")
        publisher.publish("sensors/last", "end", qos=1)
    await collector.until(lambda: collector.messages and collector.messages[-1].topic == "sensors/last")

    # Order is promised per topic and QoS (MQTT 5.0, 4.6).
    assert sorted(int(payload) for payload in collector.payloads[:-1]) == list(range(200))
    for topic in {message.topic for message in collector.messages[:-1]}:
        for qos in (0, 1):
            numbers = [int(m.payload) for m in collector.messages if m.topic == topic and m.payload != b"end"]
            same = [number for number in numbers if number % 2 == qos]
            assert same == sorted(same)


async def test_qos_2_messages_arrive_once(mosquitto: Mosquitto, make_link: MakeLink, collector: Collector) -> None:
    link = make_link(mosquitto.url, topics=(UpstreamTopic(filter="a", qos=2),))
    await collector.connected()
    for number in range(50):
        link.publish("a", b"%d" % number, qos=2, retain=False, done=collector.done)

    await collector.until(lambda: len(collector.messages) == 50 and len(collector.answers) == 50)

    assert collector.payloads == [b"%d" % number for number in range(50)]
    assert collector.answers == [None] * 50


@pytest.mark.parametrize("protocol", ["5", "3.1.1", "auto"])
async def test_both_versions_are_spoken(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, protocol: str
) -> None:
    make_link(mosquitto.url, protocol=protocol)
    await collector.connected()

    assert f"as gateway-under-test (p{2 if protocol == '3.1.1' else 5}," in await mosquitto.logged("connected from")


async def test_auto_falls_back_to_3_1_1_where_5_is_refused(
    nats: Nats, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(nats.url, protocol="auto")
    await collector.connected()

    assert link.counters.failures == 0
    assert collector.history == ["connected"]


async def test_a_retained_value_has_no_timestamp(broker: Broker, make_link: MakeLink, collector: Collector) -> None:
    with MqttPublisher(broker.port) as publisher:
        publisher.publish("a", "old", qos=1, retain=True)
    make_link(broker.url)
    await collector.until(lambda: collector.messages)
    with MqttPublisher(broker.port) as publisher:
        publisher.publish("a", "new", qos=1, retain=True)
    await collector.until(lambda: len(collector.messages) == 2)

    old, new = collector.messages
    assert (old.payload, old.retained, old.timestamp) == (b"old", True, None)
    assert (new.payload, new.retained) == (b"new", False)
    assert new.timestamp is not None


async def test_the_prefix_is_put_before_topics_and_taken_off_when_publishing(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url, prefix="plant/")
    await collector.connected()
    link.publish("plant/a/b", b"v", qos=1, retain=False, done=collector.done)
    await collector.until(lambda: collector.messages)

    assert collector.messages[0].topic == "plant/a/b"
    assert "'a/b'" in mosquitto.log
    assert "plant/a/b" not in mosquitto.log


async def test_a_payload_above_the_limit_is_announced_without_its_data(
    broker: Broker, make_link: MakeLink, collector: Collector
) -> None:
    make_link(broker.url, link_options={"payload_limit": 1000})
    await collector.connected()
    with MqttPublisher(broker.port) as publisher:
        publisher.publish("big", bytes(800_000), qos=1)
        publisher.publish("small", bytes(1000), qos=1)
    await collector.until(lambda: len(collector.messages) == 2)

    big, small = collector.messages
    assert (big.payload, big.size) == (b"", 800_000)
    assert (len(small.payload), small.size) == (1000, 0)


async def test_a_payload_of_10_mb_arrives(mosquitto: Mosquitto, make_link: MakeLink, collector: Collector) -> None:
    payload = bytes(range(256)) * 40_000
    make_link(mosquitto.url, link_options={"payload_limit": 16 * 1024 * 1024})
    await collector.connected()
    with MqttPublisher(mosquitto.port) as publisher:
        publisher.publish("big", payload, qos=1)
        publisher.publish("big", b"after", qos=1)
    await collector.until(lambda: len(collector.messages) == 2)

    assert collector.payloads == [payload, b"after"]
    assert collector.history == ["connected"]


async def test_properties_do_not_disturb_the_order(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url, protocol="5")
    await collector.connected()
    other = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    other.connect("127.0.0.1", mosquitto.port)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    properties.UserProperty = ("who", "test")
    other.loop_start()
    for number in range(100):
        info = other.publish("a", str(number), 1, properties=properties if number % 3 else None)
        info.wait_for_publish(5)
    await collector.until(lambda: len(collector.messages) == 100)
    other.disconnect()
    other.loop_stop()

    assert collector.payloads == [b"%d" % number for number in range(100)]
    assert link.counters.messages == 100


async def test_clients_messages_are_answered_when_the_broker_has_them(
    broker: Broker, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(broker.url)
    await collector.connected()
    for qos in (0, 1, 2):
        link.publish(f"q/{qos}", b"v", qos=qos, retain=qos == 1, done=collector.done)
    await collector.until(lambda: len(collector.messages) == 3 and len(collector.answers) == 3)

    assert collector.answers == [None, None, None]
    assert {message.topic for message in collector.messages} == {"q/0", "q/1", "q/2"}


async def test_what_no_broker_may_get_is_refused_at_once(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url)
    await collector.connected()
    link.publish("a/+", b"v", qos=0, retain=False, done=collector.done)

    assert collector.answers == ["bad-filter: a topic holds no wildcard: + and # belong into filters"]


async def test_credentials_come_from_a_file_that_is_read_at_every_connect(
    make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    users, password = tmp_path / "users", tmp_path / "password"
    write_user(users, "gateway", "right")
    password.write_text("wrong\n")
    with Mosquitto(config=f"password_file {users}", anonymous=False) as broker:
        make_link(broker.url, username="gateway", password_file=password)
        await collector.until(lambda: collector.history == ["refused"])
        assert "Not authorized" in (collector.states[-1].reason or "")

        password.write_text("right\n")
        await collector.connected()


def write_user(file: Path, name: str, password: str) -> None:
    """A password file of Mosquitto (PBKDF2, as mosquitto_passwd writes it)."""
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    encoded = base64.b64encode(salt).decode(), base64.b64encode(digest).decode()
    file.write_text(f"{name}:$7$101${encoded[0]}${encoded[1]}\n")


async def test_a_password_file_that_is_gone_is_named(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    make_link(mosquitto.url, username="gateway", password_file=tmp_path / "none")
    await collector.until(lambda: collector.states)

    assert f"password file {tmp_path / 'none'} cannot be read" in (collector.states[-1].reason or "")


async def test_a_filter_that_is_refused_is_named_and_the_others_are_followed(
    make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite open/#\ntopic readwrite free/#\n")
    topics = tuple(UpstreamTopic(filter=filter) for filter in ("open/#", "secret/#", "free/#"))
    with Mosquitto(config=f"acl_file {rights}") as broker:
        link = make_link(broker.url, protocol="5", topics=topics)
        await collector.connected()
        with MqttPublisher(broker.port) as publisher:
            publisher.publish("free/1", "v")
        await collector.until(lambda: collector.messages)

    # Mosquitto 2.0 grants what its ACL only refuses to deliver; the refusal proper is tested with the fake broker.
    assert [grant.filter for grant in link.grants] == ["open/#", "secret/#", "free/#"]


async def test_a_filter_that_nats_refuses_is_named_and_the_others_are_followed(
    make_link: MakeLink, collector: Collector, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    rights = """authorization { users = [
  { user: gateway, password: secret, permissions: { subscribe: { deny: ["secret.>", "secret"] } } }
  { user: sensor, password: secret }
] }"""
    topics = tuple(UpstreamTopic(filter=filter) for filter in ("open/#", "secret/#", "free/#"))
    with Nats(config=rights) as broker:
        link = make_link(broker.url, topics=topics, username="gateway", password_file=password)
        await collector.connected()
        link.publish("free/1", b"v", qos=1, retain=False, done=collector.done)
        await collector.until(lambda: collector.messages)

    assert (collector.states[-1].reason or "").startswith('the broker refused 1 of 3 filters: "secret/#" (')
    assert [grant.qos for grant in link.grants] == [0, None, 0]


async def test_birth_and_will_tell_others_how_we_are(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    watcher = make_link(mosquitto.url, client_id="watcher", name="watcher")
    await collector.connected()
    subject = make_link(
        mosquitto.url,
        client_id="subject",
        status="sensor-gateway/{name}/status",
        topics=(UpstreamTopic(filter="nothing"),),
        link_options={"gateway": "box"},
    )
    await collector.until(lambda: collector.messages)
    await subject.stop()
    await collector.until(lambda: len(collector.messages) == 2)

    assert [(m.topic, m.payload) for m in collector.messages] == [
        ("sensor-gateway/box/status", b"online"),
        ("sensor-gateway/box/status", b"offline"),
    ]
    assert watcher.connected


async def test_without_status_and_canary_nothing_is_published(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url)
    await collector.connected()
    await link.stop()

    assert "Received PUBLISH" not in mosquitto.log


async def test_other_filters_are_taken_over_within_the_connection(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url, topics=(UpstreamTopic(filter="a", qos=1), UpstreamTopic(filter="b", qos=1)))
    await collector.connected()
    link.reload(settings(mosquitto.url, topics=(UpstreamTopic(filter="b", qos=1), UpstreamTopic(filter="c", qos=1))))
    await asyncio.wait(link._helpers._tasks)
    assert [grant.filter for grant in link.grants] == ["b", "c"]
    with MqttPublisher(mosquitto.port) as publisher:
        for topic in "abc":
            publisher.publish(topic, topic)
    await collector.until(lambda: len(collector.messages) == 2)

    assert collector.payloads == [b"b", b"c"]
    assert collector.history == ["connected"]


async def test_filters_that_are_changed_twice_in_a_row_are_all_known(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """What the broker granted for the first change was forgotten by the second, which did not ask for it again."""
    link = make_link(mosquitto.url, topics=(UpstreamTopic(filter="a", qos=1),))
    await collector.connected()
    for filters in ("ab", "abc"):
        link.reload(settings(mosquitto.url, topics=tuple(UpstreamTopic(filter=each, qos=1) for each in filters)))
    await asyncio.wait(link._helpers._tasks)

    assert [grant.filter for grant in link.grants] == ["a", "b", "c"]


async def test_another_address_is_taken_over_by_a_new_connection(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url)
    await collector.connected()
    with Mosquitto() as other:
        link.reload(settings(other.url))
        await collector.until(lambda: collector.states[-1].url == other.url and collector.history[-1] == "connected")

        assert collector.history == ["connected", "connecting", "connected"]


async def test_a_reload_does_not_wait_for_an_address_that_was_wrong(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    async with FakeBroker(on_connect=ignore) as silent:
        link = make_link(silent.url)
        await silent.until(lambda: silent.peers and silent.peer.connect)
        begin = time.monotonic()
        link.reload(settings(mosquitto.url))
        await collector.connected()

        assert time.monotonic() - begin < 1


async def test_the_log_says_what_is_followed(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "gateway.upstream"):
        make_link(mosquitto.url, topics=(UpstreamTopic(filter="a/#", qos=1), UpstreamTopic(filter="b")))
        await collector.connected()

    assert caplog.messages == [
        f'upstream main: connected to {mosquitto.url}: MQTT 5, session new, following "a/#" (QoS 1), "b" (QoS 0)'
    ]


async def test_a_topic_keeps_its_str_over_connections(make_link: MakeLink, collector: Collector) -> None:
    async with FakeBroker() as broker:
        make_link(broker.url)
        await collector.connected()
        broker.peer.publish("a/b", b"1")
        await collector.until(lambda: collector.messages)
        broker.peer.close()
        await collector.disconnected()
        await collector.connected()
        broker.peer.publish("a/b", b"2")
        await collector.until(lambda: len(collector.messages) == 2)

        assert collector.messages[0].topic is collector.messages[1].topic


async def test_a_stop_says_goodbye_and_is_no_change_of_state(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url)
    await collector.connected()
    await link.stop()

    assert "Received DISCONNECT from gateway-under-test" in await mosquitto.logged("DISCONNECT")
    assert collector.history == ["connected"]


async def test_a_busy_hub_leaves_messages_in_the_socket(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    link = make_link(mosquitto.url, keepalive=1.0)
    await collector.connected()
    collector.busy = True
    before = link.counters.bytes
    with MqttPublisher(mosquitto.port) as publisher:
        for number in range(100):
            publisher.publish("a", str(number))
    # Longer than the keep-alive: a link that is not read is not dead.
    await asyncio.sleep(2.5)
    assert (link.counters.bytes, collector.messages, collector.history) == (before, [], ["connected"])

    collector.busy = False
    await collector.until(lambda: len(collector.messages) == 100)


@pytest.mark.parametrize("history", [False, True])
async def test_a_new_process_gets_what_is_retained_though_the_broker_kept_the_session(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector, history: bool
) -> None:
    """With a session that is resumed, "retained only if new" left a restarted gateway without any last value."""
    topics = (UpstreamTopic(filter="kept", qos=1),)
    with MqttPublisher(mosquitto.port) as publisher:
        publisher.publish("kept", "21.5", qos=1, retain=True)
    first = make_link(mosquitto.url, protocol="5", topics=topics)
    await collector.until(lambda: len(collector.messages) == 1)
    await first.stop()

    second = make_link(mosquitto.url, protocol="5", topics=topics)
    if history:
        second.take_up()

    await collector.until(lambda: [m.payload for m in collector.messages] == [b"21.5"] * 2)


async def test_behind_a_shared_log_a_new_process_takes_up_the_session_without_what_is_retained(
    mosquitto: Mosquitto, make_link: MakeLink, collector: Collector
) -> None:
    """The log has it already, whichever gateway took it in."""
    topics = (UpstreamTopic(filter="kept", qos=1),)
    with MqttPublisher(mosquitto.port) as publisher:
        publisher.publish("kept", "21.5", qos=1, retain=True)
        first = make_link(mosquitto.url, protocol="5", topics=topics, link_options={"shared": True})
        await collector.until(lambda: len(collector.messages) == 1)
        await first.stop()
        publisher.publish("kept", "22", qos=1)

        second = make_link(mosquitto.url, protocol="5", topics=topics, link_options={"shared": True})

        await collector.until(lambda: second.connected and len(collector.messages) == 2)
        publisher.publish("kept", "23", qos=1)
        await collector.until(lambda: collector.payloads[-1] == b"23")
    assert collector.payloads == [b"21.5", b"22", b"23"]
