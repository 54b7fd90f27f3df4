"""The package, and a machine to install it on."""

import subprocess
import sys
import tempfile
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


def debian(folder: Path, *packages: str) -> None:
    """A Debian of its own in `folder`, by debootstrap, with `packages` of bookworm-backports on top."""

    def run(*command: str) -> None:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, capture_output=True, text=True, env=environ)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr

    base = "--include=python3,systemd,systemd-sysv,dbus"
    run("debootstrap", "--variant=minbase", base, "bookworm", str(folder))
    sources = folder / "etc/apt/sources.list"
    mirror = sources.read_text().split()[1]
    sources.write_text(f"{sources.read_text()}deb {mirror} bookworm-backports main\n")
    apt = ("chroot", str(folder), "apt-get", "-q", "--yes", "--no-install-recommends")
    run(*apt, "update")
    run(*apt, "-t", "bookworm-backports", "install", *packages)


@pytest.fixture(scope="module")
def newer(package: Path) -> Iterator[Machine]:
    """A machine with a systemd that knows Type=notify-reload; the package is in /root/gateway.deb."""
    with tempfile.TemporaryDirectory(prefix="debian-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "root"
        debian(folder, "systemd", "systemd-sysv")
        (folder / "root/gateway.deb").write_bytes(package.read_bytes())
        with Machine(folder) as booted:
            yield booted


@pytest.fixture(scope="module")
def machine(package: Path) -> Iterator[Machine]:
    """A machine of the module's own that has the package in /root/gateway.deb."""
    with Machine() as booted:
        (booted.root / "root").mkdir(exist_ok=True)
        (booted.root / "root/gateway.deb").write_bytes(package.read_bytes())
        yield booted
