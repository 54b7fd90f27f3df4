"""A terminal of a size of its own with a program in it: what it writes, and keys that are typed."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


class Terminal:
    """Runs `command` in a pseudo-terminal, whose keys are signals as well (Ctrl-C); ends it when it is left."""

    def __init__(
        self, command: Sequence[str], *, columns: int = 80, rows: int = 24, environ: Mapping[str, str] | None = None
    ) -> None:
        self.written = b""
        self._descriptor, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", **(environ or {})},
        )
        os.close(inner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._descriptor)

    def type(self, keys: bytes) -> None:
        """Type `keys`; b"\\x03" is Ctrl-C."""
        os.write(self._descriptor, keys)

    def await_text(self, text: bytes, limit: float = 15.0) -> None:
        """Return once the program has written `text`. Raises TimeoutError."""
        end = time.monotonic() + limit
        while text not in self.written:
            if not self._read(end - time.monotonic()):
                raise TimeoutError(f"{text!r} was not written, but {self.written!r}")

    def ended(self, limit: float = 15.0) -> int:
        """Read to the end of what it writes; its exit status."""
        end = time.monotonic() + limit
        while self._read(end - time.monotonic()):
            pass
        return self.process.wait(limit)

    def _read(self, limit: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, limit))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        self.written += data
        return bool(data)
