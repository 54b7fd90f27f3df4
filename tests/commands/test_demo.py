"""The demo as a person starts it: a process of its own, real broker, real viewers."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support.leftovers import children
from support.mosquitto import Mosquitto

from gateway.commands.demo import next_free_port, write_config


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`sensor-gateway ARGUMENTS` with its temporary files in `folder`, killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def read_until(stream: IO[str] | None, wanted: str) -> str:
    """Everything up to the first line that `wanted` is found in; the test's time limit is the limit."""
    assert stream is not None
    text = ""
    for line in stream:
        text += line
        if re.search(wanted, line):
            return text
    raise AssertionError(f"ended without {wanted!r}:\n{text}")


def addresses(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ +(dashboard|stream|plain|broker) +(\S+)", text, re.MULTILINE))


@pytest.mark.broker
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_sees_values_over_wss_and_nothing_is_left(tmp_path: Path, stop: signal.Signals) -> None:
    with started(tmp_path, "demo") as demo:
        where = addresses(read_until(demo.stdout, "Ctrl-C"))
        assert where["stream"].startswith("wss://localhost:")
        assert where["plain"].startswith("ws://localhost:")
        assert where["broker"].startswith("mqtt://127.0.0.1:")
        for options in (("--insecure", "--url", where["stream"]), ("--url", where["plain"])):
            with started(tmp_path, "watch", "sensors/#", *options) as watch:
                seen = read_until(watch.stdout, r" sensors/\S+ \{")
                assert "connected to demo" in seen
                watch.send_signal(signal.SIGINT)
                assert watch.wait(10) == 0
        started_by_it = children(demo.pid)
        assert started_by_it
        demo.send_signal(stop)
        assert demo.wait(10) == 0
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in started_by_it if Path(f"/proc/{pid}").exists()]


def test_with_a_broker_of_ones_own_only_sensors_is_used(tmp_path: Path) -> None:
    with Mosquitto() as broker:
        with started(tmp_path, "demo", "--broker", broker.url) as demo:
            where = addresses(read_until(demo.stdout, "Ctrl-C"))
            assert where["broker"] == broker.url
            assert children(demo.pid) == []
            with started(tmp_path, "watch", "#", "--url", where["plain"]) as watch:
                read_until(watch.stdout, r" sensors/\S+ \{")
            demo.send_signal(signal.SIGINT)
            assert demo.wait(10) == 0
        assert set(re.findall(r"Received PUBLISH from \S+ \(.*?'(\w+)/", broker.log)) == {"sensors"}


def test_a_broker_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--broker", "mqtt://127.0.0.1:1") as demo:
        assert demo.stdout is not None
        assert demo.stdout.read().startswith("sensor-gateway: cannot reach the broker mqtt://127.0.0.1:1: ")
        assert demo.wait(10) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert next_free_port(port) > port


def test_its_configuration_has_a_plain_and_a_secure_listener_on_loopback(tmp_path: Path) -> None:
    config = write_config(tmp_path, "mqtt://127.0.0.1:1883")
    assert [listen.address for listen in config.listen] == [("127.0.0.1",), ("127.0.0.1",)]
    assert [listen.tls is not None for listen in config.listen] == [False, True]
