import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operations.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def notifier(systemd: socket.socket, **environ: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.getsockname(), **environ}, pid=42)


def test_without_systemd_nothing_happens() -> None:
    silent = Notifier({})
    assert not silent
    silent.ready("fine")
    silent.alive()
    assert silent.watchdog is None


def test_ready_with_its_status(systemd: socket.socket) -> None:
    notifier(systemd).ready("2 upstreams")
    assert systemd.recv(4096) == b"READY=1\nSTATUS=2 upstreams"


def test_reloading_names_its_time_in_the_same_datagram(systemd: socket.socket) -> None:
    notifier(systemd).reloading()
    first, second = systemd.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert abs(int(second.partition("=")[2]) / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 5


def test_stopping_asks_for_its_time(systemd: socket.socket) -> None:
    notifier(systemd).stopping("goodbyes", 12)
    assert systemd.recv(4096) == b"STOPPING=1\nSTATUS=goodbyes\nEXTEND_TIMEOUT_USEC=12000000"


def test_a_status_cannot_assign_anything_else(systemd: socket.socket) -> None:
    notifier(systemd).status("broker says\nWATCHDOG=1")
    assert systemd.recv(4096) == b"STATUS=broker says\\x0aWATCHDOG=1"


def test_the_same_words_are_said_once(systemd: socket.socket) -> None:
    speaker = notifier(systemd)
    speaker.status("a")
    speaker.status("a")
    speaker.status("b")
    assert [systemd.recv(4096), systemd.recv(4096)] == [b"STATUS=a", b"STATUS=b"]


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0sensor-gateway-test-notify")
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@sensor-gateway-test-notify"}).alive()
        assert sock.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "42"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_time_is_for_this_process_alone(
    systemd: socket.socket, environ: dict[str, str], seconds: float | None
) -> None:
    assert notifier(systemd, **environ).watchdog == seconds


def test_a_systemd_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("fine")
