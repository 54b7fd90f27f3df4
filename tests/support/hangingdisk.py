"""A disk that hangs: what is written or synced while it does returns when it answers again.

As a program, a gateway on such a disk: `python -m support.hangingdisk FILE run …`; it hangs for as long as FILE is
there.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gateway.logs import offsets, reserve, sqlite
from gateway.logs.store import Store


class HangingDisk:
    """Patch what is to hang with `through`, which lets a call go its way once the disk answers.

    It does so by itself after ten seconds: a test that asks whether it `hangs` still then sees who waited for it.
    """

    def __init__(self) -> None:
        self._answers = threading.Event()
        self._answers.set()
        self._rescue: threading.Timer | None = None
        self.held = threading.Semaphore(0)

    @property
    def hangs(self) -> bool:
        return not self._answers.is_set()

    def hang(self) -> None:
        self._answers.clear()
        self._rescue = threading.Timer(10, self._answers.set)
        self._rescue.start()

    def answer(self) -> None:
        if self._rescue is not None:
            self._rescue.cancel()
        self._answers.set()

    def through(self, real: Any) -> Any:
        """The function `real` over this disk."""

        def call(*arguments: Any, **named: Any) -> Any:
            if self.hangs:
                self.held.release()
                self._answers.wait(60)
            return real(*arguments, **named)

        return call


def main(marker: Path) -> None:
    """Run the gateway; offsets are reserved by the thousand, and patience ends after a second."""

    def through(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            while marker.exists():
                time.sleep(0.02)
            return real(*arguments, **named)

        return call

    os.fsync, os.pwrite = through(os.fsync), through(os.pwrite)
    Store.write = through(Store.write)  # type: ignore[method-assign]
    Store.open = through(Store.open)  # type: ignore[method-assign]
    Store.close = through(Store.close)  # type: ignore[method-assign]
    offsets.RESERVE = reserve.RESERVE = 1000
    reserve.AHEAD = 1.0
    sqlite.BEGIN = 1.0
    sqlite.SqliteLog.__init__.__kwdefaults__["patience"] = 1.0  # type: ignore[index]
    from gateway.cli import main as gateway

    gateway(sys.argv[2:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
