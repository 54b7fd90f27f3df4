"""A broker without an installation: NATS server with its MQTT listener as a child process (extra `demo`)."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.errors import GatewayError

PR_SET_PDEATHSIG = 1  # prctl(2)
START_LIMIT = 20.0
STOP_LIMIT = 5.0


def find_program() -> str | None:
    """The path of `nats-server`: the wheel's, else one that is installed otherwise."""
    return shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dying_with_parent() -> Callable[[], None]:
    """A `preexec_fn`: the kernel ends the child when the thread that started it does, even by SIGKILL."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_for_it() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before prctl was in force
            os._exit(1)

    return ask_for_it


class EmbeddedBroker:
    """A broker on a free loopback port with its store in `folder`, alive while the context is.

    The kernel ends it when this process dies, even by SIGKILL. Speaks MQTT 3.1.1.

    Raises:
        GatewayError: it does not start; the text has its last log lines.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._log = folder / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        for _ in range(3):  # somebody may take the free port between the look and the start
            self.port = free_port()
            if self._start():
                return self
            self.close()
        last = "\n".join(self._log.read_text(errors="replace").splitlines()[-5:])
        raise GatewayError(f"the embedded broker does not start:\n{last}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> bool:
        config = self._folder / "broker.conf"
        config.write_text(
            f'server_name: demo\nlisten: "127.0.0.1:{free_port()}"\n'
            f'jetstream {{ store_dir: "{self._folder}/broker", max_memory_store: 64MB, max_file_store: 256MB }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.port}" }}\n'
        )
        with self._log.open("wb") as log:
            # Its own session: Ctrl-C in the terminal is for us, and it goes last.
            self._process = subprocess.Popen(
                [self._program, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=dying_with_parent(),
            )
        end = time.monotonic() + START_LIMIT
        while self._process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)  # a process has no event for "listening"
        return False
