"""What an operator reads when things go wrong: the daemon's own log, line by line."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from support.daemon import Daemon
from support.follower import until
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.processes import lasting_port
from websockets.asyncio.client import connect

CONFIG = """[log]
format = "json"
level = "debug"
[backpressure]
policy = "disconnect"
soft = "64 KiB"
[[upstream]]
name = "barn"
urls = "URL"
topics = [{ filter = "flood/#" }]
"""


def shake_hands(port: int, *lines: str, path: str = "/stream") -> socket.socket:
    """A client's request, and its first answer; what comes then is not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(5)
    sock.connect(("127.0.0.1", port))
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: localhost:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *lines,
    ]
    sock.sendall("\r\n".join([*head, "", ""]).encode())
    assert sock.recv(12)
    return sock


def read(port: int, path: str, host: str = "localhost") -> int:
    """The status of the answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as client:
        client.request("GET", path, headers={"Host": host})
        return client.getresponse().status


def lines_of(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.log.splitlines()]


async def test_two_hundred_strange_pages_fill_a_screen_and_no_more(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    for number in range(200):
        shake_hands(daemon.port, f"Origin: http://strange{number}.example").close()
    await daemon.logged("more than 20 origins were rejected within a minute")
    told = [line for line in lines_of(daemon) if "reject" in line["msg"] or line.get("action") == "origin"]
    assert len(told) <= 31  # ten lines with the remedy, twenty of the audit, and that there are more
    first = told[0]
    assert (first["level"], first["address"]) == ("warning", "127.0.0.1")
    assert 'to allow it: [origins] allow = ["http://strange0.example"]' in first["msg"]


async def test_a_viewer_that_is_ended_for_being_slow_is_named_with_what_waited(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    await daemon.logged("connected to")
    with shake_hands(daemon.port, path="/stream?topic=flood/%23"), MqttPublisher(shared_mosquitto.port) as publisher:
        for _ in range(200):
            publisher.publish("flood/a", '"' + "x" * 50_000 + '"', qos=1)
        await daemon.logged("a viewer is ended")
    [line] = [line for line in lines_of(daemon) if line["msg"].startswith("a viewer is ended")]
    assert (line["level"], line["reason"], line["address"]) == ("warning", "slow-consumer", "127.0.0.1")
    assert int(line["waiting"]) > 64 * 1024
    assert len(line["session"]) == 16


async def test_a_session_can_be_followed_from_its_welcome_to_its_end(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    async with connect(daemon.url, compression=None, proxy=None) as client:
        session = json.loads(await client.recv())["session"]
    await daemon.logged("a session is over")
    told = [line for line in lines_of(daemon) if line.get("session") == session]
    assert [line["msg"] for line in told] == ["a session begins", "a session is over"]
    assert {(line["dialect"], line["role"], line["address"]) for line in told} == {
        ("sensor-gateway.v1.json", "viewer", "127.0.0.1")
    }


async def test_a_viewer_whose_network_is_stuck_is_named_when_the_kernel_gives_up(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    config = CONFIG.replace('"disconnect"', '"latest"') + '[heartbeat]\ninterval = "1s"\ntimeout = "1s"\n'
    daemon = gateway(config.replace("URL", shared_mosquitto.url))
    await daemon.logged("connected to")
    with shake_hands(daemon.port, path="/stream?topic=flood/%23"), MqttPublisher(shared_mosquitto.port) as publisher:
        for _ in range(200):
            publisher.publish("flood/a", '"' + "x" * 50_000 + '"', qos=1)
        await daemon.logged("a viewer is gone", 20)
    [line] = [line for line in lines_of(daemon) if line["msg"].startswith("a viewer is gone")]
    assert (line["level"], line["reason"]) == ("info", "unreachable")
    assert int(line["lost"]) > 100


async def test_what_was_held_back_is_told_before_the_end(gateway: Callable[[str], Daemon]) -> None:
    with Mosquitto(lasting_port()) as broker:
        daemon = gateway(CONFIG.replace("URL", broker.url) + 'backoff = { min = "20ms", max = "50ms" }\n')
        for life in range(1, 8):
            await until(lambda life=life: broker.log.count("New client connected") == life)
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
    await asyncio.to_thread(daemon.stop)
    assert "the newest of" in lines_of(daemon)[-1]["msg"]


async def test_a_scrape_every_few_seconds_is_one_line_of_the_audit(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    roles = '[[role]]\nname = "viewer"\nrights = ["metrics"]\n'
    daemon = gateway(roles + CONFIG.replace("URL", shared_mosquitto.url))
    for path in ("/metrics", "/metrics", "/metrics", "/api/status", "/api/status"):
        await asyncio.to_thread(read, daemon.port, path)
    await daemon.logged('"path":"/api/status"')
    told = [(line["path"], line["result"]) for line in lines_of(daemon) if line.get("action") == "read"]
    assert told == [("/metrics", "ok"), ("/api/status", "refused")]


async def test_guessing_tokens_fills_a_screen_of_the_audit_and_no_more(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    for number in range(100):
        shake_hands(daemon.port, f"Authorization: Bearer gw_guess_{number}").close()
    await daemon.logged("wait a minute")
    told = [line["reason"] for line in lines_of(daemon) if line.get("action") == "sign-in"]
    assert told[:10] == ["this is no token of this gateway"] * 10
    assert told[10:] == ["too many failed sign-ins from your address: wait a minute"]
    assert "gw_guess" not in daemon.log


async def test_a_host_that_is_not_ours_fills_a_screen_of_the_audit_and_no_more(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    for number in range(60):
        await asyncio.to_thread(read, daemon.port, "/api/topics", f"made-up{number}.example")
    await asyncio.to_thread(daemon.stop)
    told = [line for line in lines_of(daemon) if line.get("action") == "host"]
    assert [line["host"] for line in told] == [*(f"made-up{number}.example" for number in range(20)), told[-1]["host"]]
    assert told[-1]["msg"].startswith("audit … the newest of ")


async def test_the_log_begins_with_what_runs_and_a_link_is_a_field(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(CONFIG.replace("URL", shared_mosquitto.url))
    await daemon.logged("connected to")
    lines = lines_of(daemon)
    assert lines[0]["msg"].startswith("sensor-gateway ")
    assert lines[0]["msg"].endswith(f"starts from {daemon.config_file}")
    assert lines[1]["msg"].startswith("listening on http://127.0.0.1:")
    [line] = [line for line in lines if line.get("state") == "connected"]
    assert (line["upstream"], line["from"], line["level"]) == ("barn", "upstream", "info")
