import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.commands.embedded_broker import EmbeddedBroker, find_program
from gateway.errors import GatewayError

pytestmark = pytest.mark.broker

HOLDER = """
import sys
from pathlib import Path
from gateway.commands.embedded_broker import EmbeddedBroker, find_program
with EmbeddedBroker(find_program(), Path(sys.argv[1])) as broker:
    print(broker.port, broker._process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def program() -> str:
    found = find_program()
    assert found is not None
    return found


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_listens_while_the_context_is_open_and_not_after(program: str, tmp_path: Path) -> None:
    with EmbeddedBroker(program, tmp_path) as broker:
        assert connects(broker.port)
        assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
    assert not connects(broker.port)


def test_it_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        port, pid = map(int, holder.stdout.readline().split())
        watched = os.pidfd_open(pid)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    try:
        assert signal_of_end(watched)
    finally:
        os.close(watched)
    assert not connects(port)


def signal_of_end(pidfd: int) -> bool:
    """Whether the process ends within five seconds; a pidfd becomes readable then."""
    return bool(select.select([pidfd], [], [], 5)[0])


def test_one_that_does_not_start_is_an_error_with_its_log(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_text("#!/bin/sh\necho no room on this box\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(GatewayError, match="no room on this box"), EmbeddedBroker(str(program), tmp_path):
        pass
