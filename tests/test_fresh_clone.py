"""The two commands of the README, as a newcomer types them in a fresh clone."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.leftovers import children

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.broker
@pytest.mark.timeout(180)
def test_make_demo_and_watch_print_values_within_a_minute_and_nothing_is_left(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    environment["TMPDIR"] = str(temporary)
    start = time.monotonic()
    # A session of its own: Ctrl-C in a terminal goes to make and to all that it started.
    with subprocess.Popen(
        ["make", "demo"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        try:
            assert demo.stdout is not None
            url = next(found[1] for line in demo.stdout if (found := re.search(r"stream +(wss\S+)", line)))
            with subprocess.Popen(
                [".venv/bin/sensor-gateway", "watch", "sensors/#", "--insecure", "--url", url],
                cwd=clone,
                stdout=subprocess.PIPE,
                text=True,
            ) as watch:
                assert watch.stdout is not None
                assert re.search(r" sensors/\S+ \{", watch.stdout.readline())
                assert time.monotonic() - start < 60
                watch.send_signal(signal.SIGINT)
                assert watch.wait(10) == 0
            started = [demo.pid]
            for pid in started:
                started += children(pid)
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait(10)
        finally:
            if demo.poll() is None:
                os.killpg(demo.pid, signal.SIGKILL)
    assert len(started) >= 3, "make, the demo and its broker"
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert list(temporary.glob("sensor-gateway-*")) == []
