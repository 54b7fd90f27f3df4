"""The package, and a machine to install it on."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machine import Machine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package of this tree."""
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run([sys.executable, ROOT / "debian/build.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.deb"))


@pytest.fixture(scope="module")
def machine(package: Path) -> Iterator[Machine]:
    """A machine of the module's own that has the package in /root/gateway.deb."""
    with Machine() as booted:
        (booted.root / "root").mkdir(exist_ok=True)
        (booted.root / "root/gateway.deb").write_bytes(package.read_bytes())
        yield booted
