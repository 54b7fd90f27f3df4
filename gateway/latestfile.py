"""A file with the newest state of something small: written by a thread, since a disk may hang."""

import logging
import os
import threading
from pathlib import Path

logger = logging.getLogger("gateway")


class LatestFile:
    """Replaced as a whole. Where it cannot be written, what it should hold ends with the process; `name` the thread."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._lock = threading.Lock()
        self._unwritten: bytes | None = None
        self._writer: threading.Thread | None = None

    def read(self) -> bytes:
        """What an earlier run left; nothing where there was none. Raises OSError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def write(self, data: bytes, *, wait: float = 0.0) -> None:
        """Have `data` written; waits for that, but for so many seconds at most."""
        with self._lock:
            self._unwritten = data
            if self._writer is not None:
                return  # which is stuck, or nearly done
            writer = self._writer = threading.Thread(target=self._write, name=self._name, daemon=True)
            writer.start()
        if wait:
            writer.join(wait)

    def _write(self) -> None:
        """In a thread, which ends once all is written."""
        new = self.path.with_name(f".{self.path.name}.new")
        while True:
            with self._lock:
                data, self._unwritten = self._unwritten, None
                if data is None:
                    self._writer = None
                    return
            try:
                new.write_bytes(data)
                os.replace(new, self.path)
            except OSError as error:
                logger.debug("%s cannot be written: %s", self.path, error)
