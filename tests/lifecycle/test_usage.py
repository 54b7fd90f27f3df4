"""How much is stored, and memory against its budget, as `/api/status` tells them."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nats import Nats
from support.publisher import Publisher
from websockets.sync.client import connect

ADMIN = '[[role]]\nname = "viewer"\nsubscribe = ["#"]\nrights = ["gateway"]\n'


def status(daemon: Daemon) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/api/status", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


@pytest.mark.parametrize("disk", [False, True])
def test_history_and_memory_are_told_with_their_bounds(
    mosquitto: Mosquitto, gateway: Callable[[str], Daemon], tmp_path: Path, disk: bool
) -> None:
    history = 'memory = "4 MiB"\nage = "2m"\n' + (f'disk = "{tmp_path}/h.db"\ndisk_limit = "8 MiB"\n' if disk else "")
    daemon = gateway(
        f'[gateway]\nmemory_budget = "96 MiB"\n[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\n'
        f"[history]\n{history}{ADMIN}"
    )
    daemon.await_broker()
    address = f"ws://127.0.0.1:{daemon.port}/stream?topic=a/%23"
    with connect(address, compression=None, proxy=None) as viewer, Publisher(mosquitto.port) as publisher:
        before = status(daemon)
        publisher.publish("a/big", b"x" * 40_000)
        while json.loads(viewer.recv(10))["type"] != "message":
            pass
        after = status(daemon)
        assert after["history"]["memory"] - before["history"]["memory"] >= 40_000
        assert after["history"]["messages"] - before["history"]["messages"] == 1
        assert (after["history"]["memory_limit"], after["history"]["age"]) == (4 * 1024**2, 120)
        assert ("disk_limit" in after["history"]) is disk
        if disk:
            assert after["history"]["disk_limit"] == 8 * 1024**2
            assert after["history"]["degraded"] == ""
        memory, parts = after["memory"], after["memory"]["parts"]
        assert (memory["budget"], memory["source"]) == (96 * 1024**2, "as written")
        assert 10 * 1024**2 < memory["resident"] < memory["budget"]
        assert sum(part["limit"] for part in parts.values()) <= memory["budget"]
        assert parts["history"]["used"] == after["history"]["memory"]
        assert parts["last_values"]["used"] - before["memory"]["parts"]["last_values"]["used"] >= 40_000
        assert after["connections"]["sessions"] == 1
        assert after["connections"]["limit"] * 24 * 1024 == parts["connections"]["limit"]


def test_of_a_stream_that_gateways_share_the_bounds_are_told(nats: Nats, gateway: Callable[[str], Daemon]) -> None:
    stream = 'jetstream = { urls = "NATS", replicas = 1, stream = "sensors", max_bytes = "8 MiB", max_age = "2d" }'
    daemon = gateway(
        f'[[upstream]]\nname = "test"\nurls = ["{nats.url}"]\n[history]\nlog = "jetstream"\n'
        f"{stream.replace('NATS', nats.nats_url)}\n{ADMIN}"
    )
    daemon.await_broker(20.0)
    history = status(daemon)["history"]
    assert history["stream"] == {"name": "sensors", "limit": 8 * 1024**2, "age": 2 * 86400}
    assert "disk" not in history
