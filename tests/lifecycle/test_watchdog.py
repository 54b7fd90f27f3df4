"""The real daemon with a part of it ill: systemd hears no WATCHDOG=1 any more, and the status says which part it is."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher
from support.systemd import Systemd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WATCHDOG = 3.0  # seconds
SILENCE = 1.5 * WATCHDOG

BLOCKED = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(60))\n"
DEAD = """
import pathlib
from gateway.logs.worker import Worker
submit = Worker.submit
def dying(self, work, done):
    if self.name == "history-writer" and pathlib.Path(FLAG).exists():
        work = lambda: (_ for _ in ()).throw(SystemExit)
    submit(self, work, done)
Worker.submit = dying
"""


class Ill(Daemon):
    """A daemon in which `plant` runs before it begins."""

    def __init__(self, config: str, plant: str = "") -> None:
        super().__init__(config)
        self.plant = plant

    def command(self) -> Sequence[str]:
        _, _, _, *arguments = super().command()
        flag = f"FLAG = {str(self.folder / 'flag')!r}"
        return [sys.executable, "-c", f"{flag}\n{self.plant}\nfrom gateway.cli import main\nmain()", *arguments]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    other = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(other.path))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield other
    other.close()


async def falls_silent(systemd: Systemd) -> None:
    with pytest.raises(TimeoutError):
        await systemd.until("WATCHDOG=1", SILENCE)


async def test_a_blocked_loop(systemd: Systemd) -> None:
    with Ill('[[upstream]]\nurls = ["mqtt://127.0.0.1:1"]\n', BLOCKED) as daemon:
        await systemd.until("WATCHDOG=1")
        os.kill(daemon.pid, signal.SIGUSR1)
        said = await systemd.until("STATUS=UNHEALTHY")
        assert "UNHEALTHY loop: the event loop has been blocked for " in said
        assert "in <lambda>" in said
        await falls_silent(systemd)
        assert "unhealthy: loop: " in daemon.log


async def test_a_dead_thread_of_the_history(systemd: Systemd, mosquitto: Mosquitto) -> None:
    config = f'[history]\ndisk = "history.db"\ncommit = "1s"\n[[upstream]]\nurls = ["{mosquitto.url}"]\n'
    with Ill(config, DEAD) as daemon, Publisher(mosquitto.port) as publisher:
        await systemd.until("WATCHDOG=1")
        await daemon.logged("connected to")
        (daemon.folder / "flag").touch()
        publisher.publish("a", 1)
        said = await systemd.until("STATUS=UNHEALTHY")
        assert "UNHEALTHY history: the thread history-writer is dead" in said
        await falls_silent(systemd)


async def test_a_blind_link(systemd: Systemd, tmp_path: Path) -> None:
    """The broker says yes to everything and passes nothing on."""
    rules = tmp_path / "acl"
    rules.write_text("topic read nothing/#\n")
    with Mosquitto(config=f"acl_file {rules}") as broker:
        config = f'[[upstream]]\nname = "barn"\nurls = ["{broker.url}"]\ncanary = "1s"\n'
        with Ill(config):
            await systemd.until("WATCHDOG=1")
            said = await systemd.until("STATUS=UNHEALTHY", 60)
            assert "UNHEALTHY upstream: barn has been blind for " in said
            await falls_silent(systemd)


async def test_a_broker_that_is_absent_is_no_illness(systemd: Systemd) -> None:
    config = '[[upstream]]\nurls = ["mqtt://127.0.0.1:1"]\ncanary = "1s"\n'
    with Ill(config):
        for _ in range(6):
            assert "UNHEALTHY" not in await systemd.until("WATCHDOG=1")
        assert not any("UNHEALTHY" in said for said in systemd.heard)
