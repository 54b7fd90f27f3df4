"""The real daemon and a real broker, killed without warning: delivered and named in gaps is all that was sent."""

import asyncio
import itertools
import os
import random
import shutil
from contextlib import asynccontextmanager

import msgspec
import pytest
from support.daemon import Daemon
from support.follower import Follower, Load, until
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.asyncio.client import connect

CONFIG = """
[gateway]
state_dir = "{folder}/state"
drain = "1s"
[[upstream]]
name = "main"
urls = ["mqtt://127.0.0.1:%d"]
client_id = "gateway-under-test"
session_expiry = "1h"
backoff = {min = "100ms", max = "200ms"}
topics = [{filter = "t/#", qos = 1}]
[history]
"""
DISK = 'disk = "history.db"\ndurable = true\n'
STREAM = 'log = "jetstream"\n[history.jetstream]\nurls = "%s"\nreplicas = 1\nmax_bytes = "64 MiB"\n'


@pytest.fixture
def broker(tmp_path):
    persisted = tmp_path / "broker"
    persisted.mkdir()
    with Mosquitto(persistence_dir=persisted, config="max_queued_messages 0") as broker:
        yield broker


@pytest.fixture
def daemon(broker):
    with Daemon((CONFIG + DISK) % broker.port) as daemon:
        yield daemon


@asynccontextmanager
async def following(daemon):
    viewer = Follower(daemon.url)
    task = asyncio.create_task(viewer.run())
    await until(lambda: viewer.epoch is not None)
    yield viewer
    task.cancel()
    await asyncio.wait({task})


@pytest.fixture
async def viewer(daemon):
    async with following(daemon) as viewer:
        yield viewer


async def test_last_values_are_there_again_after_a_restart(broker, daemon):
    await connected(daemon, 1)
    with MqttPublisher(broker.port) as publisher:
        publisher.publish("t/a", "1", qos=1)
        publisher.publish("t/b", "2", qos=1)
        publisher.publish("t/a", "3", qos=1)
    before = Follower(daemon.url)
    before.epoch, before.offset = "another", 0
    task = asyncio.create_task(before.run())
    await until(lambda: 3 in before.numbers)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.to_thread(daemon.kill)
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(daemon.start)
    async with connect(f"{daemon.url}?topic=t/%23", compression=None, proxy=None) as client:
        told = []
        while not told or told[-1]["type"] != "replayed":
            told.append(msgspec.json.decode(await client.recv()))
    assert [(m["topic"], m["data"]) for m in told if m["type"] == "message"] == [("t/b", 2), ("t/a", 3)]
    assert told[0]["offset"] == told[-1]["offset"] >= 65_536


async def connected(daemon, times):
    """Wait until the broker holds a session for it that keeps what is published; a link that stands by has none."""

    def connections():
        lines = [line for line in daemon.log.splitlines() if "main: connected" in line]
        return len([line for line in lines if "following nothing" not in line])

    await until(lambda: connections() >= times)


async def test_killed_under_load_and_resumed_nothing_is_missing_and_nothing_comes_twice(broker, daemon, viewer):
    await killed_three_times(broker, daemon, viewer)
    assert [gap["count"] for gap in viewer.gaps if gap["reason"] == "restart"] == [0, 0, 0]


@pytest.mark.slow
async def test_killed_where_the_log_is_a_stream_nothing_is_missing_either_and_no_offset_is_skipped(broker, nats):
    with Daemon(CONFIG % broker.port + STREAM % nats.nats_url) as daemon:
        async with following(daemon) as viewer:
            await killed_three_times(broker, daemon, viewer)
            # Who is there before the broker may be told that nobody knows what came before the first offset.
            assert [gap for gap in viewer.gaps if gap["to"]] == []


async def killed_three_times(broker, daemon, viewer):
    await connected(daemon, 1)
    load = Load(broker.port)
    load.start()
    try:
        for number in range(3):
            before = len(viewer.numbers)
            await until(lambda before=before: len(viewer.numbers) > before + 300)
            await asyncio.sleep(random.uniform(0, 0.2))
            await asyncio.to_thread(daemon.kill)
            await asyncio.to_thread(daemon.start)
            await connected(daemon, number + 2)
    finally:
        await asyncio.to_thread(load.end)
    await until(lambda: len(viewer.numbers) >= load.sent)
    await asyncio.sleep(0.3)
    assert viewer.numbers == sorted(viewer.numbers)
    assert viewer.numbers == list(range(load.sent))
    assert len(viewer.names) == len(set(viewer.names))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_power_cut_that_tears_the_write_ahead_log_is_named(broker, daemon, viewer, seed):
    await connected(daemon, 1)
    load = Load(broker.port)
    load.start()
    try:
        await until(lambda: len(viewer.numbers) > 500)
        await asyncio.to_thread(daemon.kill)
        log = daemon.folder / "state" / "history.db-wal"
        os.truncate(log, random.Random(seed).randrange(log.stat().st_size))
        await asyncio.to_thread(daemon.start)
        await connected(daemon, 2)
    finally:
        await asyncio.to_thread(load.end)
    await until(lambda: viewer.numbers and viewer.numbers[-1] == load.sent - 1)
    missing = set(range(load.sent)) - set(viewer.numbers)
    # A message whose row was torn away is not known again when the broker repeats it: it comes under a second name.
    assert len(viewer.names) == len(set(viewer.names))
    if missing:
        assert any(gap["count"] is None for gap in viewer.gaps)
    # A second viewer that comes from before the cut is told what it cannot have any more.
    late = Follower(daemon.url)
    late.epoch, late.offset = viewer.epoch, 0
    task = asyncio.create_task(late.run())
    await until(lambda: late.numbers and late.numbers[-1] == load.sent - 1)
    task.cancel()
    await asyncio.wait({task})
    assert len(late.numbers) == len(set(late.numbers))
    accounted_for(late, viewer)


def accounted_for(late, viewer):
    """Whatever `viewer` had by a name, `late` had by the same, or was told that nobody knows what is missing there."""
    had = set(late.names)
    for (epoch, offset), number in zip(viewer.names, viewer.numbers, strict=True):
        if (epoch, offset) not in had and number not in late.numbers:
            lost = [gap for gap in late.gaps if gap["from"] <= offset <= gap["to"] and gap["count"] is None]
            assert epoch == late.epoch
            assert lost, f"{number} ({offset}) is not there, and no gap names it"


async def test_a_cloned_state_folder_never_uses_a_name_twice(broker, daemon, viewer, tmp_path):
    await connected(daemon, 1)
    with MqttPublisher(broker.port) as publisher:
        for number in range(200):
            publisher.publish("t/x", str(number), qos=1)
    await until(lambda: len(viewer.numbers) == 200)
    clone = tmp_path / "clone"
    await asyncio.to_thread(daemon.kill)
    shutil.copytree(daemon.folder / "state", clone, ignore=shutil.ignore_patterns("*.sock"))
    # The machine that the card was put into has another id: the one that was written down is not its.
    file = clone / "offsets"
    records = file.read_bytes()
    with Daemon((CONFIG + DISK).replace("{folder}/state", str(clone)) % broker.port) as other:
        same = Follower(other.url)
        task = asyncio.create_task(same.run())
        await until(lambda: same.epoch is not None)
        task.cancel()
        await asyncio.wait({task})
        assert same.epoch == viewer.epoch
    file.write_bytes(b"".join(_with_machine(records[at : at + 512]) for at in (0, 512)))
    with Daemon((CONFIG + DISK).replace("{folder}/state", str(clone)) % broker.port) as other:
        late = Follower(other.url)
        late.epoch, late.offset = viewer.epoch, viewer.offset
        task = asyncio.create_task(late.run())
        await until(lambda: late.gaps and late.numbers)
        with MqttPublisher(broker.port) as publisher:
            for number in range(200, 300):
                publisher.publish("t/x", str(number), qos=1)
        await until(lambda: late.numbers[-1] == 299)
        task.cancel()
        await asyncio.wait({task})
    assert late.epoch != viewer.epoch
    assert late.gaps[0]["reason"] == "restart"
    assert late.gaps[0]["count"] is None
    # Behind the gap the last value that the clone knew, then all that was sent; by names that nobody ever had.
    assert late.numbers == list(range(199, 300))
    assert not set(late.names) & set(viewer.names)


def _with_machine(slot):
    import zlib

    body = slot.strip().partition(b" ")[2]
    if not body:
        return slot
    record = msgspec.json.decode(body)
    record["machine"] = "00000000"
    body = msgspec.json.encode(record)
    return (b"%08x %b\n" % (zlib.crc32(body), body)).ljust(512)


async def test_a_restored_backup_never_uses_a_name_twice(broker, daemon, viewer, tmp_path):
    from gateway.logs.offsets import renew

    await connected(daemon, 1)
    numbers = itertools.count()
    with MqttPublisher(broker.port) as publisher:

        async def publish(count):
            for _ in range(count):
                publisher.publish("t/x", str(next(numbers)), qos=1)
            total = len(viewer.numbers) + count
            await until(lambda: len(viewer.numbers) >= total)

        await publish(100)
        await asyncio.to_thread(daemon.stop)
        shutil.copytree(daemon.folder / "state", tmp_path / "backup", ignore=shutil.ignore_patterns("*.sock"))
        await asyncio.to_thread(daemon.start)
        await connected(daemon, 2)
        await until(lambda: viewer.gaps == [])
        await publish(100)
        await asyncio.to_thread(daemon.stop)
        shutil.rmtree(daemon.folder / "state")
        shutil.copytree(tmp_path / "backup", daemon.folder / "state")
        renew(daemon.folder / "state")
        await asyncio.to_thread(daemon.start)
        await connected(daemon, 3)
        await until(lambda: viewer.gaps)
        last = len(viewer.numbers)
        publisher.publish("t/x", str(next(numbers)), qos=1)
        await until(lambda: len(viewer.numbers) > last and viewer.numbers[-1] == 200)
    assert len(viewer.names) == len(set(viewer.names))
    assert [(gap["reason"], gap["count"]) for gap in viewer.gaps] == [("restart", None)]
    assert set(viewer.numbers) == set(range(201))
