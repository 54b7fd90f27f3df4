import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operations.health import Health, Histogram, Progress, Sentry
from gateway.operations.notify import Notifier
from gateway.pulse import BEAT


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def notifier(systemd: socket.socket, seconds: float = 60.0) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": str(int(seconds * 1e6))})


def said(systemd: socket.socket) -> list[str]:
    heard = []
    while True:
        try:
            heard += systemd.recv(65536).decode().split("\n")
        except BlockingIOError:
            return heard


def test_the_watchdog_is_fed_three_times_in_its_time(systemd: socket.socket) -> None:
    now = 0.0
    health = Health(notifier(systemd), status=lambda: "fine", clock=lambda: now)
    fed = 0
    for _ in range(120):
        now += 0.5
        health.look()
        fed += said(systemd).count("WATCHDOG=1")
    assert fed == 3


def test_a_part_that_is_ill_stops_the_watchdog_and_names_itself(systemd: socket.socket) -> None:
    now, fault = 0.0, "the thread that writes is dead"
    health = Health(
        notifier(systemd), status=lambda: "fine", checks={"history": lambda: fault or None}, clock=lambda: now
    )
    health.look()
    assert said(systemd) == ["STATUS=UNHEALTHY history: the thread that writes is dead"]
    fault, now = "", 100.0
    health.look()
    assert said(systemd) == ["STATUS=fine", "WATCHDOG=1"]


def test_a_check_that_fails_is_a_fault(systemd: socket.socket) -> None:
    def broken() -> str | None:
        raise RuntimeError("oh")

    health = Health(notifier(systemd), status=lambda: "fine", checks={"x": broken})
    health.look()
    assert said(systemd) == ["STATUS=UNHEALTHY x: its check failed: oh"]


def test_a_loop_that_comes_too_late_says_so(systemd: socket.socket) -> None:
    health = Health(notifier(systemd), status=lambda: "fine")
    health.look(31.0)
    assert said(systemd) == ["STATUS=UNHEALTHY loop: the event loop was blocked for 31.0 s"]


async def test_the_lag_of_the_loop_is_measured(systemd: socket.socket) -> None:
    health = Health(notifier(systemd), status=lambda: "fine")
    running = asyncio.create_task(health.run())
    await asyncio.sleep(0)
    time.sleep(3 * BEAT)  # noqa: ASYNC251 - this is the fault, wherever in the beat it begins
    async with asyncio.timeout(5):
        while not sum(health.lag.counts):  # noqa: ASYNC110 - the measurement has no event
            await asyncio.sleep(0.05)
    running.cancel()
    assert health.lag.sum >= BEAT
    assert "WATCHDOG=1" in said(systemd)


async def test_a_loop_that_stands_still_is_named_from_outside(systemd: socket.socket) -> None:
    speaker = notifier(systemd)
    health = Health(speaker, status=lambda: "fine")
    sentry = Sentry(health, speaker, limit=0.2)
    sentry.start()
    time.sleep(0.6)  # noqa: ASYNC251 - this is the fault
    sentry.stop()
    [line] = said(systemd)
    assert line.startswith("STATUS=UNHEALTHY loop: the event loop has been blocked for 0 s, at ")
    assert "test_health.py" in line


def test_progress_is_asked_only_while_there_is_work() -> None:
    now, moved, waiting = 0.0, 0, True
    progress = Progress("the flush", lambda: waiting, lambda: moved, lambda: now, 20.0)
    now = 19.0
    assert progress() is None
    now = 21.0
    assert progress() == "the flush has not moved for 21 s"
    moved = 1
    assert progress() is None
    now, waiting = 100.0, False
    assert progress() is None


def test_a_histogram_counts_by_upper_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.1, 0.5, 2.0):
        histogram.observe(value)
    assert histogram.counts == [1, 1, 1]
    assert histogram.sum == pytest.approx(2.6)
