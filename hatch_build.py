"""Build hook: fetches the chart library and makes the client's types, at the versions of the dashboard's lock file.

Without npm, or without a network, the wheel is built without charts, which one line says.
SENSOR_GATEWAY_CHARTS=required makes that an error (CI and the packages set it).
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DASHBOARD = Path("gateway/dashboard")
LICENCE = "/*! uPlot {version}, MIT licence, (c) Leon Sorokin, github.com/leeoniya/uPlot */\n"

# A box without a network should learn so in seconds.
QUICK = ("--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000", "--fetch-retry-mintimeout=1000")
TYPES = ("--allowJs", "--declaration", "--emitDeclarationOnly", "--target", "es2022", "--module", "es2022")


class ChartsMissing(Exception):
    """What npm brings could not be had."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Fills `gateway/dashboard/built/`, which the wheel takes along as an artifact."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        try:
            build(root)
        except ChartsMissing as error:
            if os.environ.get("SENSOR_GATEWAY_CHARTS") == "required":
                self.app.abort(f"no charts, and SENSOR_GATEWAY_CHARTS=required: {error}")
            self.app.display_warning(f"charts are left out: {error}")
        build_data["artifacts"].append(f"{DASHBOARD}/built/*")


def build(root: Path) -> None:
    """Make what is missing or older than its sources. Raises ChartsMissing."""
    dashboard = root / DASHBOARD
    built = dashboard / "built"
    wanted = [built / name for name in ("uplot.js", "uplot.css", "client.js", "client.d.ts")]
    sources = [dashboard / "package-lock.json", *(dashboard / "client").glob("*.js")]
    newest = max(file.stat().st_mtime for file in sources)
    if all(file.exists() and file.stat().st_mtime >= newest for file in wanted):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise ChartsMissing("npm is not installed (apt-get install npm)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(dashboard / file, folder)
        _run([npm, "ci", *QUICK, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], folder)
        client = join_modules(root)("client/index.js", lambda path: (dashboard / path).read_text("utf-8"))
        (folder / "client.js").write_text(client, "utf-8")
        _run([npm, "exec", "--no", "--", "tsc", *TYPES, "--outDir", "types", "client.js"], folder)
        uplot = folder / "node_modules" / "uplot"
        version = _version(uplot / "package.json")
        built.mkdir(exist_ok=True)
        _write(wanted[0], LICENCE.format(version=version) + (uplot / "dist" / "uPlot.iife.min.js").read_text("utf-8"))
        _write(wanted[1], (uplot / "dist" / "uPlot.min.css").read_text("utf-8"))
        _write(wanted[2], client)
        _write(wanted[3], (folder / "types" / "client.d.ts").read_text("utf-8"))


def join_modules(root: Path) -> Callable[[str, Callable[[str], str]], str]:
    """The gateway's own joiner, loaded from its file: nothing of the project is installed while it is being built."""
    spec = importlib.util.spec_from_file_location("modules", root / "gateway" / "edge" / "modules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    joined: Callable[[str, Callable[[str], str]], str] = module.join_modules
    return joined


def _version(package: Path) -> str:
    return str(json.loads(package.read_text("utf-8"))["version"])


def _write(file: Path, text: str) -> None:
    # Written aside and renamed: a gateway that starts meanwhile never reads half a file.
    aside = file.with_suffix(".part")
    aside.write_text(text, "utf-8")
    aside.replace(file)


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if run.returncode != 0:
        words = (run.stderr or run.stdout).strip().splitlines()
        raise ChartsMissing(f"{' '.join(command[1:3])} failed: {words[-1] if words else 'without a word'}")


if __name__ == "__main__":
    try:
        build(Path(__file__).parent)
    except ChartsMissing as error:
        sys.exit(f"charts are left out: {error}")
