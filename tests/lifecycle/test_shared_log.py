"""Many gateways over one JetStream log, as processes: who follows the broker, and what viewers see of it."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.follower import Follower, Load, until
from support.mqttpublisher import MqttPublisher
from support.sharedhouse import House, Viewers, ended, follows, get, holder, metric, more, offset, ready

from gateway.operations.control import ask

pytestmark = pytest.mark.slow

TAKEOVER = 5.0  # seconds


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        yield House(stack)


async def test_one_gateway_follows_and_all_hand_on_the_same(house: House) -> None:
    one, two = house.gateway("one"), house.gateway("two")
    await holder(one, two)
    viewers = Viewers(one, two)
    await viewers.welcomed()
    with MqttPublisher(house.broker.port) as publisher:
        for number in range(200):
            publisher.publish(f"t/{number % 5}", str(number), qos=1)
    await until(lambda: all(len(viewer.numbers) >= 200 for viewer in viewers.all))
    await viewers.end()
    assert sorted(metric(each, "upstream_following{") for each in (one, two)) == [0.0, 1.0]
    assert sum(metric(each, "history_stored_messages_total") for each in (one, two)) == 200
    assert [metric(each, "history_lag_messages") for each in (one, two)] == [0, 0]
    first, second = viewers.all
    assert first.numbers == second.numbers == list(range(200))
    assert first.names == second.names


@pytest.mark.slow
async def test_a_killed_holder_is_replaced_in_time_and_nothing_is_lost_or_stored_twice(house: House) -> None:
    held, other = gateways = house.gateway("one"), house.gateway("two")
    if await holder(*gateways) is other:
        held, other = other, held
    viewer = Follower(other.url)
    watching = asyncio.create_task(viewer.run())
    await until(lambda: viewer.offset is not None)
    load = Load(house.broker.port)
    load.start()
    try:
        for _ in range(3):
            await more(viewer, 300)
            held.kill()
            killed = time.monotonic()
            await until(partial(follows, other))
            assert time.monotonic() - killed < TAKEOVER
            await more(viewer, 300)
            held.start()
            await until(partial(ready, held))
            # The viewer moves over to the one that stands by, since the one that follows is killed next.
            viewer.url = held.url
            await ended(watching)
            watching = asyncio.create_task(viewer.run())
            held, other = other, held
    finally:
        load.end()
    await until(lambda: viewer.numbers[-1:] == [load.sent - 1])
    await ended(watching)
    assert viewer.numbers == list(range(viewer.numbers[0], load.sent))
    assert len(set(viewer.names)) == len(viewer.names)
    assert viewer.gaps == []


async def test_a_holder_that_ends_gives_its_turn_away_at_once(house: House) -> None:
    held, other = gateways = house.gateway("one"), house.gateway("two")
    if await holder(*gateways) is other:
        held, other = other, held
    stopped = time.monotonic()
    held.stop()
    await until(lambda: follows(other))
    assert time.monotonic() - stopped < 2.5, "a dead holder takes that long, not one that says goodbye"


async def test_a_frozen_holder_that_thaws_stores_nothing_any_more(house: House) -> None:
    gateways = house.gateway("one"), house.gateway("two")
    held = await holder(*gateways)
    [other] = [gateway for gateway in gateways if gateway is not held]
    viewers = Viewers(other)
    await viewers.welcomed()
    load = Load(house.broker.port)
    load.start()
    try:
        await until(lambda: len(viewers.all[0].numbers) > 300)
        held.suspend()
        frozen = time.monotonic()
        await until(lambda: follows(other))
        assert time.monotonic() - frozen < TAKEOVER
        before = len(viewers.all[0].numbers)
        await until(lambda: len(viewers.all[0].numbers) > before + 200)
        held.resume()
        await held.logged("has its lease now", 10)
        await until(lambda: get(held, "/readyz")[0] == 200)
        before = len(viewers.all[0].numbers)
        await until(lambda: len(viewers.all[0].numbers) > before + 200)
    finally:
        load.end()
    await until(lambda: viewers.all[0].numbers[-1:] == [load.sent - 1])
    await viewers.end()
    [viewer] = viewers.all
    assert viewer.numbers == list(range(viewer.numbers[0], load.sent))


async def test_a_viewer_goes_on_at_another_gateway_where_it_was(house: House) -> None:
    one, two = house.gateway("one"), house.gateway("two")
    await holder(one, two)
    viewer = Follower(one.url)
    load = Load(house.broker.port)
    load.start()
    try:
        for url in (one.url, two.url, one.url, two.url):
            viewer.url = url
            task = asyncio.create_task(viewer.run())
            seen = len(viewer.numbers)
            await until(lambda seen=seen: len(viewer.numbers) > seen + 200)
            await ended(task)
    finally:
        load.end()
    assert viewer.numbers == list(range(viewer.numbers[0], viewer.numbers[-1] + 1))
    assert viewer.gaps == []


async def test_a_gateway_that_starts_has_the_last_values_and_is_ready_when_it_has_caught_up(house: House) -> None:
    one = house.gateway("one")
    await holder(one)
    with MqttPublisher(house.broker.port) as publisher:
        for number in range(50):
            publisher.publish(f"t/{number % 5} x.y//z", str(number), qos=1)
    await until(lambda: get(one, "/api/topics")[1].count('"topic"') == 5)
    two = house.gateway("two")
    await until(lambda: get(two, "/readyz")[0] == 200)
    assert get(two, "/readyz")[1].endswith("log: in order\n")
    topics = [json.loads(get(gateway, "/api/topics")[1]) for gateway in (one, two)]
    assert topics[0] == topics[1]
    assert [each["topic"] for each in topics[1]["topics"]] == [f"t/{number} x.y//z" for number in range(5)]


async def test_while_nats_is_away_messages_wait_and_the_gateway_is_not_ready(house: House) -> None:
    one = house.gateway("one")
    await holder(one)
    viewers = Viewers(one)
    await viewers.welcomed()
    load = Load(house.broker.port)
    load.start()
    try:
        await until(lambda: len(viewers.all[0].numbers) > 200)
        house.nats.kill()
        await until(lambda: get(one, "/readyz")[0] == 503)
        assert "log: " in get(one, "/readyz")[1]
        assert metric(one, "history_reachable") == 0
        await until(lambda: metric(one, "history_waiting_messages") > 0)
        house.nats.start()
        back = time.monotonic()
        before = len(viewers.all[0].numbers)
        await until(lambda: len(viewers.all[0].numbers) > before + 200)
        assert time.monotonic() - back < 10.0
        await until(lambda: get(one, "/readyz")[0] == 200)
    finally:
        load.end()
    await until(lambda: viewers.all[0].numbers[-1:] == [load.sent - 1])
    await viewers.end()
    assert viewers.all[0].numbers == list(range(viewers.all[0].numbers[0], load.sent))


async def test_devices_publish_to_nats_themselves(house: House) -> None:
    stream = 'prefix = ""\ntopics = ["t/#"]'
    upstream = f'ingest = "none"\nurls = "{house.nats.url}"'
    one, two = (house.gateway(name, upstream=upstream, stream=stream) for name in ("one", "two"))
    await until(lambda: get(one, "/readyz")[0] == 200 and get(two, "/readyz")[0] == 200)
    viewers = Viewers(one, two)
    await viewers.welcomed()
    with MqttPublisher(house.nats.port) as publisher:
        for number in range(100):
            publisher.publish(f"t/{number % 3}", str(number), qos=number % 2)
        publisher.publish("t//a.b/", "100", qos=1, retain=True)
    await until(lambda: all(len(viewer.numbers) >= 101 for viewer in viewers.all))
    await viewers.end()
    assert viewers.all[0].numbers == list(range(101))
    assert viewers.all[0].names == viewers.all[1].names
    topics = json.loads(get(two, "/api/topics")[1])["topics"]
    [last] = [each for each in topics if each["topic"] == "t//a.b/"]
    assert abs(last["timestamp"] - time.time()) < 60


ROLE = '\n[auth]\nanonymous = "writer"\n[[role]]\nname = "writer"\nsubscribe = ["#"]\npublish = ["#"]\n'


async def test_viewers_publish_by_every_gateway(house: House, publish: Callable[[str, str, str], object]) -> None:
    one, two = (Daemon(house.config(name) + ROLE) for name in ("one", "two"))
    with one, two:
        await holder(one, two)
        viewers = Viewers(one, two)
        await viewers.welcomed()
        await until(lambda: all("connected" in get(each, "/readyz")[1] for each in (one, two)))
        for number, gateway in enumerate((one, two)):
            await publish(gateway.url, "t/x", str(number))  # type: ignore[misc]
        await until(lambda: all(viewer.numbers == [0, 1] for viewer in viewers.all))
        await viewers.end()


@pytest.fixture
def publish() -> Callable[[str, str, str], object]:
    from websockets.asyncio.client import connect

    async def publish(url: str, topic: str, text: str) -> None:
        async with connect(url, compression=None, proxy=None) as client:
            command = {"type": "publish", "id": 1, "topic": topic, "data": json.loads(text), "qos": 1}
            await client.send(json.dumps(command))
            async with asyncio.timeout(10):
                async for answer in client:
                    told = json.loads(answer)
                    if told.get("id") == 1:
                        assert told["type"] == "ok", told
                        return

    return publish


async def test_a_stream_that_was_made_anew_ends_the_gateway_with_a_failure(house: House) -> None:
    import nats

    one = house.gateway("one")
    await holder(one)
    client = await nats.connect(house.nats.nats_url)
    try:
        await client.jetstream().delete_stream("sensor-gateway")
        await until(lambda: not one.running or get(one, "/readyz")[0] == 503)
        config = (await client.jetstream().stream_info("KV_sensor-gateway-leases")).config
        assert config.max_msgs_per_subject == 1, "a key-value bucket as NATS' own tools know it"
        two = house.gateway("two")
        await until(lambda: not one.running)
    finally:
        await client.close()
    assert "the stream was made anew" in one.log
    await until(partial(ready, two))


async def test_a_gateway_alone_that_starts_again_stores_no_retained_value_a_second_time(house: House) -> None:
    one = house.gateway("one")
    await holder(one)
    with MqttPublisher(house.broker.port) as publisher:
        publisher.publish("t/kept", "1", qos=1, retain=True)
        await until(lambda: offset(one) > 1)
        newest = offset(one)
        one.stop()
        one.start()
        await until(lambda: follows(one))
        publisher.publish("t/live", "2", qos=1)
        await until(lambda: '"t/live"' in get(one, "/api/topics")[1])
    topics = json.loads(get(one, "/api/topics")[1])["topics"]
    assert [(each["topic"], each["offset"] <= newest) for each in topics] == [("t/kept", True), ("t/live", False)]


async def test_doctor_looks_at_the_stream(house: House) -> None:
    one = house.gateway("one")
    other = Daemon(house.config("two").replace('"64 MiB"', '"32 MiB"'))
    try:
        other.write_config()
        told = []
        for config in (one.config_file, other.config_file):
            command = [sys.executable, "-m", "gateway", "doctor", "--config", str(config)]
            told.append(await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True))
        house.nats.stop()
        told.append(await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True))
    finally:
        other.close()
    assert "shared log: the stream sensor-gateway is in reach" in told[0].stdout
    assert "shared log: max_bytes is 64 MiB, expected 32 MiB" in told[1].stdout
    assert "shared log: no NATS server answers: " in told[2].stdout


HELD = 'prefix = ""\ntopics = ["t/#"]'


def ingest(house: House, how: str) -> str:
    """An upstream that is followed so; "" says nothing about it."""
    line = f'ingest = "{how}"\n' if how else ""
    return f'{line}urls = "{house.broker.url}"\ntopics = [{{ filter = "t/#", qos = 1 }}]'


async def reload(gateway: Daemon, config: str) -> list[str]:
    """What needs a restart, as the gateway says."""
    gateway.config = config
    gateway.write_config()
    answer = await asyncio.to_thread(ask, [gateway.folder / "control.sock"], {"do": "reload"})
    return list(answer["restart"])


async def test_who_follows_changes_under_way_and_nothing_is_lost(house: House) -> None:
    one, two = (house.gateway(name, upstream=ingest(house, ""), stream=HELD) for name in ("one", "two"))
    held = await holder(one, two)
    [other] = [gateway for gateway in (one, two) if gateway is not held]
    viewers = Viewers(one, two)
    await viewers.welcomed()
    seen = viewers.all[0]
    load = Load(house.broker.port)
    load.start()

    async def follow(gateway: Daemon, how: str) -> None:
        name = "one" if gateway is one else "two"
        config = house.config(name, upstream=ingest(house, how), stream=HELD)
        assert await reload(gateway, config) == []

    try:
        await more(seen, 200)
        await follow(held, "none")
        await until(lambda: follows(other))
        await more(seen, 200)
        # Nobody is left: the broker keeps what comes.
        await follow(other, "none")
        sent = load.sent
        await until(lambda: load.sent > sent + 300)
        assert not follows(held)
        assert not follows(other)
        before = len(seen.numbers)
        await follow(held, "one")
        await until(lambda: follows(held))
        await until(lambda: len(seen.numbers) > before + 300)
        await follow(held, "")
        await follow(other, "")
        await more(seen, 200)
    finally:
        load.end()
    await until(lambda: all(viewer.numbers[-1:] == [load.sent - 1] for viewer in viewers.all))
    await viewers.end()
    for viewer in viewers.all:
        assert viewer.numbers == list(range(viewer.numbers[0], load.sent))
    assert [each.gaps for each in viewers.all] == [[], []]


@pytest.mark.parametrize("begins", ["shared", "own"])
async def test_who_follows_waits_for_the_restart_that_the_log_needs(house: House, begins: str) -> None:
    """A reload that named history.log as needing a restart let go of the broker at once: nothing came any more."""
    shared, other = house.config("one"), house.config("one", upstream=ingest(house, "none"), stream=HELD)
    own = shared.partition("[history]")[0] + "[backpressure]" + shared.partition("[backpressure]")[2]
    waiting = ["history.jetstream", "upstream.main.ingest"]
    begin, *changes = {
        "shared": ((shared, []), (other, waiting), (other, waiting), (own, ["history.log", *waiting]), (shared, [])),
        "own": ((own, []), (shared, ["history.log", *waiting]), (other, ["history.log", *waiting]), (own, [])),
    }[begins]
    with Daemon(begin[0]) as gateway:
        await until(lambda: follows(gateway))
        viewers = Viewers(gateway)
        await viewers.welcomed()
        [seen] = viewers.all
        load = Load(house.broker.port)
        load.start()
        try:
            for config, named in changes:
                await more(seen, 100)
                assert await reload(gateway, config) == named
            await more(seen, 100)
        finally:
            load.end()
        await until(lambda: seen.numbers[-1:] == [load.sent - 1])
        await viewers.end()
    assert seen.numbers == list(range(load.sent))


async def test_topics_that_the_stream_does_not_hold_yet_wait_for_the_restart(house: House) -> None:
    """Messages that no stream takes were sent to it for ever, and all that came behind them waited."""
    wide = HELD.replace('"t/#"', '"t/#", "u/#", "w/#"')
    more_topics = ingest(house, "").replace('"t/#"', '"u/#"')
    another = 'name = "new"\n' + more_topics.replace("u/#", "w/#")
    one = house.gateway("one", upstream=ingest(house, ""), stream=HELD)
    await holder(one)
    viewers = Viewers(one)
    await viewers.welcomed()
    with MqttPublisher(house.broker.port) as publisher:
        upstream = f'name = "main"\n{more_topics}\n[[upstream]]\n{another}'
        assert await reload(one, house.config("one", upstream=upstream, stream=wide)) == [
            "history.jetstream",
            "upstream.main.topics",
            "upstream: new (new)",
        ]
        publisher.publish("u/x", "0", qos=1)
        for number in range(100):
            publisher.publish("t/x", str(number), qos=1)
    await until(lambda: viewers.all[0].numbers == list(range(100)))
    await viewers.end()


async def test_without_nats_py_the_start_says_what_is_missing(house: House, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(house.config("one").replace("{folder}", str(tmp_path)).replace("{port}", "0"))
    code = "import sys; sys.modules['nats'] = None; from gateway.cli import main; main()"
    command = [sys.executable, "-c", code, "run", "--config", str(config)]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert 'log = "jetstream" needs nats-py: pip install "sensor-gateway[cluster]"' in ended.stderr
