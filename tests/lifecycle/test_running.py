"""The real daemon as systemd and an operator meet it: readiness, reload, control socket, figures, stop."""

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.publish import multiple, single
from prometheus_client.parser import text_string_to_metric_families
from support.daemon import Daemon
from support.edge import receive
from support.mosquitto import Mosquitto
from support.socketunit import start_with
from support.systemd import Systemd
from websockets.asyncio.client import connect

from gateway.metrics import METRICS
from gateway.operations.control import ask

UPSTREAM = '[[upstream]]\nname = "main"\nurls = ["mqtt://127.0.0.1:1"]\n'


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    other = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(other.path))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield other
    other.close()


def get(gateway: Daemon, path: str) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\n\r\n".encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


async def question(gateway: Daemon, **asked: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ask, [gateway.folder / "control.sock"], asked)


async def test_systemd_hears_of_the_whole_life(systemd: Systemd, gateway: Callable[[str], Daemon]) -> None:
    """READY does not wait for a broker that is not there, and its absence does not starve the watchdog."""
    daemon = gateway(UPSTREAM)
    ready = await systemd.until("READY=1")
    assert "STATUS=1 upstream, 1 down since " in ready
    assert await systemd.until("WATCHDOG=1")
    assert await systemd.until("WATCHDOG=1")
    daemon.reload()
    reloading = await systemd.until("RELOADING=1")
    assert "\nMONOTONIC_USEC=" in reloading
    await systemd.until("READY=1")
    os.kill(daemon.pid, signal.SIGTERM)
    stopping = await systemd.until("STOPPING=1")
    assert "EXTEND_TIMEOUT_USEC=" in stopping


@pytest.mark.slow
async def test_a_frozen_gateway_goes_silent(systemd: Systemd, gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    await systemd.until("WATCHDOG=1")
    daemon.suspend()
    with pytest.raises(TimeoutError):
        while True:
            await systemd.until("WATCHDOG=1", 3.5)
    daemon.resume()
    await systemd.until("WATCHDOG=1")


async def test_a_reload_changes_what_is_allowed_and_drops_nobody(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    async with connect(daemon.url, compression=None, proxy=None) as client:
        await client.recv()
        daemon.config = UPSTREAM + '[limits]\nsubscriptions = 1\n[heartbeat]\ninterval = "1s"\n'
        daemon.write_config()
        assert await question(daemon, do="reload") == {"restart": []}
        await client.send(json.dumps({"type": "subscribe", "id": 1, "topics": ["a", "b"]}))
        assert (await receive(client, "error"))["code"] == "too-many-subscriptions"
        assert await receive(client, "heartbeat")
    assert "reloaded: limits, heartbeat" in daemon.log


async def test_the_bounds_of_memory_change_under_way(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    def figure(name: str) -> float:
        text = get(daemon, "/metrics")[1]
        found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
        return found[f"sensor_gateway_{name}"]

    config = (
        f'[[upstream]]\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "bounds/#" }}]\n'
        "[[listen]]\nport = {port}\nmetrics = true\n"
    )
    daemon = gateway(config)
    await daemon.logged("connected to")
    messages = [{"topic": f"bounds/{number}", "payload": b"1"} for number in range(200)]
    async with connect(f"{daemon.url}?topic=bounds/199", compression=None, proxy=None) as client:
        multiple(messages, hostname="127.0.0.1", port=shared_mosquitto.port)
        await receive(client, "message")
    assert figure("topics") == 200
    daemon.config = config + '[limits]\nlast_values_memory = "64 KiB"\n[backpressure]\ntotal = "3 MiB"\n'
    daemon.write_config()
    assert await question(daemon, do="reload") == {"restart": []}
    assert 30 < figure("topics") <= 64 * 1024 / 900
    assert figure("outboxes_limit_bytes") == 3 * 1024**2


async def test_another_time_to_be_stale_counts_for_what_is_silent_already(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    config = f'[[upstream]]\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "silent/#" }}]\n'
    daemon = gateway(config)
    await daemon.logged("connected to")
    async with connect(daemon.url, compression=None, proxy=None) as client:
        await client.send(json.dumps({"type": "subscribe", "id": 1, "topics": ["silent/#"]}))
        await receive(client, "replayed")
        single("silent/a", b"1", hostname="127.0.0.1", port=shared_mosquitto.port)
        await receive(client, "message")
        daemon.config = config + '[[device]]\nfilter = "silent/+device"\nstale_after = "1s"\n'
        daemon.write_config()
        assert await question(daemon, do="reload") == {"restart": []}
        told = await receive(client, "stale")
        assert (told["topic"], told["stale_after"]) == ("silent/a", 1.0)
        daemon.config = config
        daemon.write_config()
        assert await question(daemon, do="reload") == {"restart": []}
        assert (await receive(client, "fresh"))["topic"] == "silent/a"


async def test_a_wrong_file_changes_nothing_and_says_why(systemd: Systemd, gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    await systemd.until("READY=1")
    daemon.config = UPSTREAM + "[limits]\nsubscriptions = -1\n"
    daemon.write_config()
    daemon.reload()
    said = await systemd.until("RELOAD REFUSED")
    assert re.search(r"config\.toml:\d+: limits\.subscriptions", said)
    assert "READY=1" in said
    assert re.search(r"reload refused: .*config\.toml:\d+: limits\.subscriptions", daemon.log)
    async with connect(daemon.url, compression=None, proxy=None) as client:
        assert json.loads(await client.recv())["limits"]["subscriptions"] == 100

    daemon.config = UPSTREAM
    daemon.write_config()
    daemon.reload()
    assert "REFUSED" not in await systemd.until("READY=1")


async def test_a_reload_that_systemd_itself_waits_for(systemd: Systemd, gateway: Callable[[str], Daemon]) -> None:
    """Type=notify-reload (systemd.service(5), from 253 on): after its SIGHUP systemd believes a RELOADING=1 only if
    MONOTONIC_USEC in the same datagram lies behind the signal, and waits for READY=1; also where the file is wrong."""
    daemon = gateway(UPSTREAM)
    await systemd.until("READY=1")
    for limits in ("subscriptions = 5", "subscriptions = -1", "subscriptions = 6"):
        daemon.config = f"{UPSTREAM}[limits]\n{limits}\n"
        daemon.write_config()
        systemd.heard.clear()
        sent = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.reload()
        ready = await systemd.until("READY=1")
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        [reloading] = [said for said in systemd.heard if "RELOADING=1" in said]
        stated = re.search(r"^MONOTONIC_USEC=(\d+)$", reloading, re.MULTILINE)
        assert stated is not None
        assert sent <= int(stated[1]) <= now
        assert ("REFUSED" in ready) == ("-1" in limits)


async def test_what_needs_a_restart_is_named(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    daemon.config = UPSTREAM + '[[listen]]\naddress = "127.0.0.1"\nport = {port}\n[[listen]]\nport = 1\n'
    daemon.write_config()
    assert await question(daemon, do="reload") == {"restart": ["listen: 127.0.0.1:1 (new)"]}


async def test_the_log_changes_its_format_under_way(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    daemon.config = UPSTREAM + '[log]\nformat = "json"\n'
    daemon.write_config()
    await question(daemon, do="reload")
    [line] = [line for line in daemon.log.splitlines() if "reloaded: log" in line]
    assert json.loads(line)["level"] == "info"


async def test_the_control_socket_is_for_owner_and_group_alone(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    path = daemon.folder / "control.sock"
    assert path.stat().st_mode & 0o777 == 0o660
    assert (await question(daemon, do="status"))["words"].startswith("1 upstream, 1 down since")
    daemon.stop()
    assert not path.exists()


async def test_explain_tells_why_a_panel_is_empty(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM)
    async with connect(f"{daemon.url}?topic=kitchen/%23", compression=None, proxy=None) as client:
        await client.recv()
        answer = await question(daemon, do="explain", topic="kitchen/temperature")
    assert answer["reason"].startswith("the broker is away: main is ")
    assert any("kitchen/# (every message)" in line for line in answer["lines"])


async def test_figures_are_those_declared(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(UPSTREAM + "[[listen]]\nport = {port}\nmetrics = true\n")
    status, text = await asyncio.to_thread(get, daemon, "/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text)}
    # Those of a history on disk, or of a log that several gateways share.
    elsewhere = {metric.name for metric in METRICS if "; only " in metric.help}
    assert set(families) == {f"sensor_gateway_{metric.name}" for metric in METRICS if metric.name not in elsewhere}
    assert families["sensor_gateway_upstream_up"].samples[0].value == 0
    assert families["sensor_gateway_event_loop_lag_seconds"].type == "histogram"
    for metric in METRICS:
        if metric.name not in elsewhere:
            family = families[f"sensor_gateway_{metric.name}"]
            assert family.type == metric.kind
            assert all(set(s.labels) - {"le"} == set(metric.labels) for s in family.samples), metric.name


@pytest.mark.slow
async def test_inherited_sockets_stay_open_across_kill(tmp_path: Path) -> None:
    """What systemd does for a socket unit: a client that connects while nobody runs is answered by the next process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = tmp_path / "config.toml"
        config.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[[listen]]\nport = 8443\n{UPSTREAM}')
        first = start_with(listener, config, "8443")
        await answered(port)
        first.kill()
        first.wait()
        waiting = await asyncio.open_connection("127.0.0.1", port)
        waiting[1].write(b"GET /healthz HTTP/1.1\r\nHost: localhost:8443\r\n\r\n")
        second = start_with(listener, config, "8443")
        try:
            async with asyncio.timeout(15):
                assert (await waiting[0].read()).startswith(b"HTTP/1.1 200")
            async with connect(f"ws://127.0.0.1:{port}/stream", compression=None, proxy=None) as client:
                await client.recv()
                second.send_signal(signal.SIGTERM)
                async with asyncio.timeout(5):
                    await receive(client, "closing")
                    await client.wait_closed()
                assert client.close_code == 1012
            assert await asyncio.to_thread(second.wait, 10) == 0
        finally:
            waiting[1].close()
            second.kill()
            second.wait()


async def answered(port: int) -> None:
    async with asyncio.timeout(15):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost:8443\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_second_upstream_shows_in_messages_of_clients_that_come_after(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    one = f'[[upstream]]\nname = "one"\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "second/a" }}]\n'
    daemon = gateway(one)
    two = one.replace('"one"', '"two"').replace("second/a", "second/b")
    daemon.config = one + two
    daemon.write_config()
    assert await question(daemon, do="reload") == {"restart": []}
    await daemon.logged("upstream two: connected")
    single("second/b", b"1", hostname="127.0.0.1", port=shared_mosquitto.port, retain=False)
    async with connect(f"{daemon.url}?topic=second/%23", compression=None, proxy=None) as client:
        single("second/b", b"1", hostname="127.0.0.1", port=shared_mosquitto.port, retain=False)
        assert (await receive(client, "message"))["upstream"] == "two"


async def test_another_limit_of_payloads_counts_without_a_restart(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    upstream = f'[[upstream]]\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "payload/#" }}]\n'
    daemon = gateway(upstream)
    await daemon.logged("connected to")
    daemon.config = upstream + '[limits]\npayload = "100 B"\n'
    daemon.write_config()
    assert await question(daemon, do="reload") == {"restart": []}
    async with connect(f"{daemon.url}?topic=payload/%23", compression=None, proxy=None) as client:
        while (await receive(client))["type"] != "upstream":
            pass
        told: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while told.get("type") != "message":
                single("payload/a", b"x" * 200, hostname="127.0.0.1", port=shared_mosquitto.port)
                told = await receive(client)
        assert told["size"] == 200


async def test_without_a_folder_for_its_control_socket_it_runs_and_says_so(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(f'[gateway]\nstate_dir = "/proc/nowhere"\n{UPSTREAM}')
    await daemon.logged("no control socket, so that top, explain, doctor and reload find no gateway: /proc/nowhere")
