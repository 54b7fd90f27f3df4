"""Figures that are more than a number read off a part."""

import shutil
import urllib.request
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from support.daemon import Daemon

from gateway.lifecycle.figures import Figures


def test_of_two_certificates_for_one_name_the_one_that_ends_first_is_shown() -> None:
    def endpoint(not_after: float, *names: str) -> Any:
        facts = SimpleNamespace(names=names, common_name="", not_after=not_after)
        return SimpleNamespace(tls=SimpleNamespace(facts=facts))

    endpoints = [endpoint(200, "a.example"), endpoint(100, "a.example"), endpoint(300, "a.example"), endpoint(50, "b")]
    house: Any = SimpleNamespace(server=SimpleNamespace(listeners=SimpleNamespace(endpoints=endpoints)))
    health: Any = None
    assert dict(Figures(house, health)._certificates()) == {("a.example",): 100.0, ("b",): 50.0}


def test_what_is_free_on_the_disk_of_the_history_is_shown(gateway: Callable[[str], Daemon]) -> None:
    history = '[history]\ndisk = "history.db"\ndisk_limit = "8 MiB"\n'
    daemon = gateway(history + "[[listen]]\nport = {port}\nmetrics = true\n")
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line.startswith("sensor"))
    free = shutil.disk_usage(daemon.folder).free
    assert abs(float(lines["sensor_gateway_history_disk_free_bytes"]) - free) < 0.05 * free
    assert float(lines["sensor_gateway_history_disk_limit_bytes"]) == 8 * 1024**2
