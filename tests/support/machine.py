"""A machine with a real systemd as its first process: an overlay in systemd-nspawn. Needs root."""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

BOOT = 60.0
_STATES = ("running", "degraded")  # the overlay brings units along that have nothing to do in a container


class Machine:
    """A context manager: booted on entry, gone at the end with all that was written in it.

    `below` is the root whose files it has and leaves as they are: this machine's own, or one made by debootstrap.
    """

    def __init__(self, below: Path = Path("/")) -> None:
        self._below = below
        self._folder = tempfile.TemporaryDirectory(prefix="machine-", ignore_cleanup_errors=True)
        self._base = Path(self._folder.name)
        self.root = self._base / "root"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    @property
    def leader(self) -> int:
        """Its first process, as this machine numbers it."""
        return self._leader

    def run(self, command: str, *, check: bool = True, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", "/bin/sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def tell(self, command: str) -> str:
        """What a command prints."""
        return self.run(command).stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.tell(f"systemctl show -P {name} {unit}")

    def until(self, command: str, wanted: str, seconds: float = 30.0) -> str:
        """What a command prints, once `wanted` stands in it."""
        limit = time.monotonic() + seconds
        while wanted not in (told := self.run(command, check=False).stdout):
            if time.monotonic() > limit:
                raise AssertionError(f"{command}: still {told!r} after {seconds:g} s, not {wanted!r}")
            time.sleep(0.1)  # another machine's state has no event here
        return told

    def __enter__(self) -> Self:
        try:
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def _boot(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2G", "tmpfs", self._base], check=True)
        for name in ("up", "work", "root"):
            (self._base / name).mkdir()
        options = f"lowerdir={self._below},upperdir={self._base}/up,workdir={self._base}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        (self.root / "etc/machine-id").write_text("uninitialized\n")
        # There is no network to wait for but loopback.
        units = self.root / "etc/systemd/system"
        for name in ("systemd-networkd-wait-online", "NetworkManager-wait-online", "ifupdown-wait-online"):
            (units / f"{name}.service").unlink(missing_ok=True)
            (units / f"{name}.service").symlink_to("/dev/null")
        with (self._base / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("systemd-nspawn", "-D", str(self.root), "-M", f"gateway-{os.getpid()}", "--boot"),
                    *(
                        "--register=no",
                        "--keep-unit",
                        "--private-network",
                        "--console=pipe",
                        "systemd.unit=basic.target",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        limit = time.monotonic() + BOOT
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(
                    f"systemd does not come up:\n{(self._base / 'log').read_text(errors='replace')[-3000:]}"
                )
            time.sleep(0.1)
        # Other services of this machine's own are no part of this.
        self.run("ip link set lo up", check=False)

    def _is_up(self) -> bool:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            found = children.read_text().split()
        except OSError:
            return False
        if not found:
            return False
        self._leader = int(found[0])
        try:
            state = self.run("systemctl is-system-running", check=False, timeout=10).stdout.strip()
        except subprocess.TimeoutExpired:
            return False
        return state in _STATES

    def close(self) -> None:
        """End it and forget what was written."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(20)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._process = None
        for place in (self.root, self._base):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        self._folder.cleanup()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
