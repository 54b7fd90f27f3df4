"""A real server process of a test: on free loopback ports, with its log at hand, gone at the end."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_LIMIT = 20.0
LASTING = (15_000, 32_000)  # below net.ipv4.ip_local_port_range as Linux sets it


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lasting_port() -> int:
    """A free port that no outgoing connection is given, for a server that comes back to it after a while."""
    for _ in range(1000):
        port = random.randrange(*LASTING)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {LASTING[0]} to {LASTING[1]} is free")


def missing(program: str, package: str) -> RuntimeError:
    """The error for a broker that is not installed: a missing part fails the run, it never skips."""
    return RuntimeError(f"{program} is not installed and the tests need it: {package}")


class Process:
    """A server that is started, stopped, killed, frozen and thawed by a test.

    A context manager: started on entry, ended on exit. `start` returns once the port answers.
    """

    def __init__(self, port: int | None) -> None:
        self._wanted_port = port
        self.port = port if port is not None else free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="broker-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.log_file = self.folder / "log"

    def command(self) -> Sequence[str]:
        """The command line; writes the configuration on its way. Called at every start."""
        raise NotImplementedError  # each server has its own

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written to its log so far, of all its lives."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    async def logged(self, text: str, limit: float = 5.0) -> str:
        """The log, once it has `text`: servers write after they have answered."""
        async with asyncio.timeout(limit):
            while text not in self.log:  # noqa: ASYNC110 - another process's file has no event
                await asyncio.sleep(0.01)
        return self.log

    def start(self) -> Self:
        """Start it and wait until the port accepts. Raises RuntimeError with its log where it does not come up."""
        attempts = 1 if self._wanted_port is not None else 3
        for attempt in range(attempts):
            try:
                self._start_once()
                return self
            except RuntimeError:
                if attempt == attempts - 1:
                    raise
                # Another test may have taken the free port between the look and the start.
                self.port = free_port()
        return self

    def _start_once(self) -> None:
        assert not self.running, "already started"
        command = self.command()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        limit = time.monotonic() + START_LIMIT
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {self._process.returncode}:\n{self.log}")
            if time.monotonic() > limit:
                self.kill()
                raise RuntimeError(f"{command[0]} does not answer on port {self.port}:\n{self.log}")
            time.sleep(0.01)  # a process has no event for "listening"

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """SIGTERM, and wait for its end; harmless when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait for its end; harmless when it does not run."""
        self._end(signal.SIGKILL)

    def _end(self, signum: int) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            # A frozen process takes SIGTERM only once it goes on.
            process.send_signal(signum)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._process = None

    def wait(self, limit: float) -> int:
        """Wait until it ends by itself, at most so many seconds; its exit status."""
        assert self._process is not None, "not started"
        status = self._process.wait(limit)
        self._process = None
        return status

    def suspend(self) -> None:
        """SIGSTOP: the kernel goes on acknowledging, nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def reload(self) -> None:
        """SIGHUP: reads its configuration again."""
        os.kill(self.pid, signal.SIGHUP)

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
