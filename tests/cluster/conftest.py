"""Node, as the tests of the browser client have it."""

import shutil
from pathlib import Path

import pytest
from support.nodepackages import MISSING, installed


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with the packages of the client's tests."""
    program = shutil.which("node")
    assert program is not None, MISSING
    installed(Path(__file__).parents[1] / "client")
    return program
