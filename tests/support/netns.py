"""Another machine on the network: a network namespace at the other end of a cable (veth). Needs root and iproute2."""

import os
import stat
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

NETWORK = "10.77.0"


class Neighbour:
    """A namespace with an address of its own, joined by one cable to the network of the process `pid`.

    `here` is the address that process's machine gets, `address` that of the neighbour.
    """

    here = f"{NETWORK}.1"
    address = f"{NETWORK}.2"

    def __init__(self, pid: int) -> None:
        self.name = f"neighbour-{os.getpid()}"
        self._pid = pid

    def run(self, *command: str, timeout: float = 60.0) -> str:
        """What a command prints that runs there. Raises AssertionError where it fails."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def program(self, path: Path, program: str) -> Path:
        """A file at `path` that runs `program` there, with its arguments and descriptors."""
        path.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def __enter__(self) -> Self:
        ours, theirs = f"gw{os.getpid()}a", f"gw{os.getpid()}b"
        inside = ("nsenter", "-t", str(self._pid), "-n", "ip")
        _ip("ip", "netns", "add", self.name)
        try:
            _ip("ip", "link", "add", ours, "netns", self.name, "type", "veth", "peer", "name", theirs)
            _ip("ip", "link", "set", theirs, "netns", str(self._pid))
            for ip, name, address in (
                (("ip", "-n", self.name), ours, self.address),
                (inside, theirs, self.here),
            ):
                _ip(*ip, "address", "add", f"{address}/24", "dev", name)
                _ip(*ip, "link", "set", name, "up")
            _ip("ip", "-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Both ends of the cable go with the namespace."""
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ip(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
