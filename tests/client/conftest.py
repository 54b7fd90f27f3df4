"""Node and the packages that the tests of the browser client need."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MISSING = "node and npm are not installed and the tests need them: apt-get install nodejs npm"


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with this folder's packages installed as its lock file has them."""
    program, npm = shutil.which("node"), shutil.which("npm")
    assert program is not None, MISSING
    assert npm is not None, MISSING
    installed = HERE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        run = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, capture_output=True, text=True, timeout=100
        )
        assert run.returncode == 0, f"npm ci failed:\n{run.stdout}{run.stderr}"
    return program
