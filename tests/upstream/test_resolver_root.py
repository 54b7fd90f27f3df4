"""A name server that is silent, denies, and answers this and that: in a network namespace, as root."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.linkrunner import TESTS, running
from support.mosquitto import Mosquitto
from support.nameserver import ADDRESS
from support.processes import free_port

pytestmark = pytest.mark.slow

SPACE = "gateway-names"
INSIDE = ["ip", "netns", "exec", SPACE]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}


def command(line: str) -> None:
    subprocess.run(line.split(), check=True, capture_output=True, text=True)


def replace(file: Path, text: str) -> None:
    """At once, for a reader that may come at any moment."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


class NamedBroker(Mosquitto):
    """Mosquitto in the namespace, on its loopback."""

    def command(self) -> list[str]:
        return [*INSIDE, *super().command()]

    def _answers(self) -> bool:
        return "running" in self.log


@pytest.fixture
def says(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Sets what the namespace's name server says; first it is silent."""
    file = tmp_path / "says"
    file.write_text("silent")
    command(f"ip netns add {SPACE}")
    # Processes of the namespace see this in place of /etc/resolv.conf (ip-netns(8)).
    folder = Path("/etc/netns", SPACE)
    try:
        folder.mkdir(parents=True)
        (folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\noptions timeout:1 attempts:1\n")
        command(f"ip netns exec {SPACE} ip link set lo up")
        with subprocess.Popen(
            [*INSIDE, sys.executable, "-m", "support.nameserver", str(file)], stdout=subprocess.PIPE, env=ENVIRONMENT
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield lambda said: replace(file, said)
            server.kill()
    finally:
        (folder / "resolv.conf").unlink(missing_ok=True)
        folder.rmdir()
        command(f"ip netns delete {SPACE}")


async def test_a_name_is_asked_for_at_every_try_whatever_the_name_server_does(says: Callable[[str], None]) -> None:
    with NamedBroker(free_port()) as broker:
        settings = {"urls": [f"mqtt://broker.plant.example:{broker.port}"]}
        async with running(settings, inside=INSIDE) as process:
            await process.until("reason", "name not resolved: Temporary failure in name resolution")
            says("nxdomain")
            await process.until("reason", "name not resolved: Name or service not known")
            says("127.0.0.2")  # where nobody listens
            await process.until("reason", "connection refused")
            says("127.0.0.1")
            await process.until("state", "connected")
