"""What needs a link in a process of its own: kill -9 under load, and a clock that lies."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest
from support.authority import Authority
from support.fakebroker import FakeBroker
from support.faketime import faketime, set_clock
from support.linkrunner import running
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher


async def test_killed_under_qos_1_load_nothing_that_the_broker_had_is_missing(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """And nothing comes out of order: what is sent again comes before what is new."""
    file = tmp_path / "messages"
    settings = {"urls": [mosquitto.url], "topics": [{"filter": "#", "qos": 1}], "protocol": "5"}
    published = 0
    stop = asyncio.Event()

    def load() -> None:
        nonlocal published
        with MqttPublisher(mosquitto.port) as publisher:
            for number in itertools.count():
                if stop.is_set():
                    return
                publisher.publish("a", str(number), qos=1)
                published = number + 1
                time.sleep(0.0005)

    loader: asyncio.Future[None] | None = None
    for kill in range(3):
        async with running(settings, "--file", str(file)) as process:
            await process.until("state", "connected")
            loader = loader or asyncio.get_running_loop().run_in_executor(None, load)
            await asyncio.sleep(0.4)
            if kill == 2:
                stop.set()
                await loader
                await asyncio.sleep(0.5)

    numbers = [int(line) for line in file.read_text().splitlines()]
    assert published > 300
    assert set(numbers) == set(range(published))
    first = list(dict.fromkeys(numbers))
    assert first == sorted(first)


@pytest.mark.slow
async def test_a_box_without_a_clock_says_so_and_recovers_when_ntp_comes(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    seconds = int(time.time()) - 3600
    async with FakeBroker(tls=authority.issue().server_context()) as broker:
        settings = {"urls": [broker.url], "tls": {"ca": str(authority.ca)}}
        async with running(settings, **faketime(file, f"-{seconds}")) as process:
            told = await process.until("state", "waiting")
            assert told["reason"] == (
                "broker certificate is not valid yet: this box's clock reads 1970-01-01 (no NTP yet?); retrying"
            )
            assert told["suspect"]

            set_clock(file, "+0")
            told = await process.until("state", "connected")
            assert not told["suspect"]


@pytest.mark.slow
@pytest.mark.parametrize("jump", ["+30d", "-1h"])
async def test_a_jump_of_the_clock_fires_no_timer(tmp_path: Path, jump: str) -> None:
    file = tmp_path / "clock"
    async with FakeBroker() as broker:
        settings = {"urls": [broker.url], "keepalive": 3.0, "topics": [{"filter": "#", "qos": 1}]}
        async with running(settings, **faketime(file, "+0")) as process:
            await process.until("state", "connected")
            set_clock(file, jump)
            await broker.until(lambda: broker.peer.pings >= 2)
            broker.peer.publish("a", b"after", qos=1, mid=1)
            told = await process.until("payloads", ["after"])

            assert len(broker.peers) == 1
            assert abs(told["time"] - time.time()) > 3000
