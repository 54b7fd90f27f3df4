"""The build hook: charts by npm, or a wheel without them that says so."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).parents[1]
BUILT = {f"gateway/dashboard/built/{name}" for name in ("uplot.js", "uplot.css", "client.js", "client.d.ts")}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The project's source as a fresh clone has it: nothing built."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("gateway", "devices"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("built", "node_modules", "__pycache__")
        )
    return folder


def build(source: Path, *, npm: bool, charts: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SENSOR_GATEWAY_CHARTS": charts}
    if not npm:
        environment["PATH"] = str(source / "nothing")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"]
    return subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, timeout=110)


def built_into(source: Path) -> set[str]:
    (wheel,) = (source / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        return BUILT & set(file.namelist())


def test_without_npm_the_wheel_has_no_charts_and_one_line_says_so(source: Path) -> None:
    run = build(source, npm=False)
    assert run.returncode == 0, run.stderr
    told = [line for line in (run.stdout + run.stderr).splitlines() if "charts" in line]
    assert told == ["charts are left out: npm is not installed (apt-get install npm)"]
    assert built_into(source) == set()


def test_where_charts_are_required_it_fails(source: Path) -> None:
    run = build(source, npm=False, charts="required")
    assert run.returncode != 0
    assert "npm is not installed" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


def test_the_npm_package_has_the_projects_version() -> None:
    version = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for name in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / "gateway" / "dashboard" / name).read_text("utf-8"))["version"] == version, name


@pytest.mark.slow
def test_with_npm_the_wheel_has_charts_and_types(source: Path) -> None:
    run = build(source, npm=True, charts="required")
    assert run.returncode == 0, run.stdout + run.stderr
    assert built_into(source) == BUILT
