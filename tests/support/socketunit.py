"""What systemd does for a socket unit: it holds the listening socket and passes it on to one process after another."""

import socket
import subprocess
import sys
from pathlib import Path


def start_with(listener: socket.socket, config: Path, name: str) -> "subprocess.Popen[bytes]":
    """A gateway that finds `listener` as descriptor 3, by `name` (sd_listen_fds(3))."""
    script = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, 3)\n"
        f"os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='{name}', LISTEN_PID=str(os.getpid()))\n"
        f"os.execv(sys.executable, [sys.executable, '-m', 'gateway', 'run', '--config', '{config}'])\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
