"""Filters that a broker's session holds: what was taken out of the configuration brings nothing any more."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.hangingdisk import HangingDisk
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.asyncio.client import connect

from gateway.upstream.held import MOST, Held


def test_a_session_that_was_kept_lets_go_of_what_is_wanted_no_more(tmp_path: Path) -> None:
    file = tmp_path / "held.json"
    Held(file).settle("me at a", ["a/#", "b/#"])
    after = Held(file)
    assert after.begin("me at a", ["b/#", "c"], kept=True) == ["a/#"]
    assert after.begin("me at b", ["b/#"], kept=True) == []
    # The process ends before the broker answers: nothing is forgotten.
    again = Held(file)
    assert again.begin("me at a", ["c"], kept=True) == ["b/#", "a/#"]
    again.settle("me at a", ["c"])
    assert Held(file).begin("me at a", ["c"], kept=True) == []
    assert Held(file).begin("me at a", ["x"], kept=False) == []


def test_what_cannot_be_written_or_read_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = Held(tmp_path / "nowhere" / "held.json")
    held.settle("me", ["a"])
    assert held.begin("me", ["b"], kept=True) == ["a"]
    (tmp_path / "broken.json").write_text("[")
    assert Held(tmp_path / "broken.json").begin("me", ["b"], kept=True) == []
    assert "broken.json cannot be read" in caplog.text


def test_a_disk_that_hangs_holds_no_link_up_and_has_the_newest_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop waited for it at every connection, and with it every viewer."""
    monkeypatch.setattr("gateway.upstream.held.WAIT", 0.05)
    disk = HangingDisk()
    monkeypatch.setattr("gateway.latestfile.os.replace", disk.through(os.replace))
    held = Held(tmp_path / "held.json")
    disk.hang()
    held.settle("me", ["a"])
    held.settle("me", ["b"])
    assert disk.hangs
    assert held.begin("me", ["c"], kept=True) == ["b"]
    assert held._file is not None
    writer = held._file._writer
    assert writer is not None
    disk.answer()
    writer.join(10)
    assert Held(tmp_path / "held.json").begin("me", [], kept=True) == ["c", "b"]


def test_sessions_come_and_go_and_take_no_room(tmp_path: Path) -> None:
    held = Held(tmp_path / "held.json")
    for number in range(3 * MOST):
        held.settle(f"client {number}", ["a"])
    assert held.begin(f"client {2 * MOST}", ["b"], kept=True) == ["a"]
    assert held.begin("client 0", ["b"], kept=True) == []


@pytest.mark.parametrize("restart", [True, False], ids=["restart", "reload that connects anew"])
async def test_filters_of_before_bring_nothing_any_more(
    gateway: Callable[[str], Daemon], mosquitto: Mosquitto, restart: bool
) -> None:
    """The broker went on sending for them, for ever: each message twice where a new one overlaps."""
    upstream = f'[[upstream]]\nname = "main"\nurls = ["{mosquitto.url}"]\n'
    daemon = gateway(f'{upstream}topics = [{{ filter = "a/#", qos = 1 }}, {{ filter = "b/#", qos = 1 }}]\n')
    daemon.await_broker()
    changed = f'{upstream}keepalive = "10s"\ntopics = [{{ filter = "a/+", qos = 1 }}, {{ filter = "end", qos = 1 }}]\n'
    daemon.config = changed
    if restart:
        await asyncio.to_thread(daemon.stop)
        await asyncio.to_thread(daemon.start)
    else:
        daemon.write_config()
        daemon.reload()
    await daemon.logged('following \\"a/+\\"')
    async with connect(f"{daemon.url}?topic=%23&replay=none", compression=None, proxy=None) as viewer:
        assert json.loads(await viewer.recv())["type"] == "welcome"  # its filter counts by now
        with MqttPublisher(mosquitto.port) as publisher:
            for topic in ("a/x", "b/y", "end"):
                publisher.publish(topic, "1", qos=1)
        topics: list[str] = []
        while topics[-1:] != ["end"]:
            told = json.loads(await asyncio.wait_for(viewer.recv(), 10))
            topics += [told["topic"]] if told["type"] == "message" else []
    assert topics == ["a/x", "end"]
