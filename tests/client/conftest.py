"""Node and the packages that the tests of the browser client need."""

import platform
import shutil
from pathlib import Path

import pytest
from support.nodepackages import MISSING, installed


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with this folder's packages installed."""
    program = shutil.which("node")
    assert program is not None, MISSING
    installed(Path(__file__).parent)
    return program


@pytest.fixture(scope="session")
def node_with_websocket() -> str:
    """A Node that has WebSocket of its own (22 and newer), which Debian's may not be: it comes as an npm package."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    return str(installed(Path(__file__).parent) / f"node-linux-{machine}" / "bin" / "node")
