"""The tests' own safety nets hold."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.leftovers import held, leftovers

ROOT = Path(__file__).parent.parent


def test_a_process_left_behind_is_found() -> None:
    before = held()
    with subprocess.Popen(["sleep", "60"]) as process:
        assert any(f"process {process.pid}: sleep 60" in line for line in leftovers(before))
        process.kill()
    assert leftovers(before) == []


def test_a_descriptor_left_behind_is_found() -> None:
    before = held()
    read, write = os.pipe()
    assert len(leftovers(before)) == 2
    os.close(read)
    os.close(write)
    assert leftovers(before) == []


def test_what_only_a_circle_holds_is_not_left_behind() -> None:
    before = held()
    file = Path(__file__).open()  # noqa: SIM115 - closed by the collector
    circle: list[object] = [file]
    circle.append(circle)
    del file, circle
    with pytest.warns(ResourceWarning):
        left = leftovers(before)
    assert left == []


def test_whatever_uses_a_broker_is_marked_and_nothing_else(tmp_path: Path) -> None:
    for name, source in (
        ("test_own", "def test_it(mosquitto): ..."),
        ("test_shared", "def test_it(shared_nats): ..."),
        ("test_import", "from support.nats import Nats\ndef test_it(): ..."),
        ("test_none", "def test_it(certificate, free_port): ..."),
    ):
        (tmp_path / f"{name}.py").write_text(source)
    collected = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "broker", "-p", "no:cacheprovider"),
            *("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "conftest", str(tmp_path)),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    assert set(re.findall(r"(\w+)\.py::test_it", collected.stdout)) == {"test_own", "test_shared", "test_import"}


def test_a_daemon_that_does_not_start_fails_with_its_log() -> None:
    daemon = Daemon('[gateway]\nname = "not a name!"\n')
    with pytest.raises(RuntimeError, match=r"ended with 78:[\s\S]*config.toml:2: gateway.name"):
        daemon.start()
    daemon.close()


def test_a_daemon_starts_and_stops() -> None:
    with Daemon("") as daemon:
        assert daemon.running
        daemon.stop()
        assert not daemon.running
        assert "stopped" in daemon.log
