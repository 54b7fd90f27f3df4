"""Node and the packages that the tests of the browser client need."""

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
