"""`make wheelhouse`: what it gathers installs where there is no network. Needs root, to take the network away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def run(*command: object) -> str:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheelhouse_installs_without_a_network(tmp_path: Path) -> None:
    run("make", "--silent", "wheelhouse")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
    run("unshare", "--net", *pip, "--find-links", ROOT / "dist/wheelhouse", "sensor-gateway[cert,tui]")
    program = tmp_path / "venv/bin/sensor-gateway"
    made = run(program, "init", "--lan", "--config", tmp_path / "etc/config.toml", "--state-dir", tmp_path / "state")
    assert "#token=gw_" in made
    assert run(program, "check", tmp_path / "etc/config.toml") == "ok\n"
