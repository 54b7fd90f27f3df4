"""What systemd hears of us: datagrams to $NOTIFY_SOCKET (sd_notify(3)), in pure Python.

Without the socket every call does nothing. A message that cannot be sent is lost: nothing here may hold up or end the
gateway, and systemd's own time limits see to the rest.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

from gateway.operations.lines import cut, escape

log = logging.getLogger("gateway")


class Notifier:
    """`watchdog` is the time in seconds within which systemd wants to hear WATCHDOG=1, None where it does not."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, pid: int | None = None) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._status = ""
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid) if self._address else None

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Started, or reloaded."""
        self._send("READY=1", self._said(status))

    def status(self, text: str) -> None:
        """How it goes, in words; the same words are said once."""
        if text != self._status:
            self._send(self._said(text))

    def reloading(self) -> None:
        """A reload begins. Both lines are in one datagram: systemd believes READY=1 only from after that time."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str, seconds: float) -> None:
        """The end begins, and may take `seconds`."""
        self._send("STOPPING=1", self._said(status), f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def extend(self, seconds: float) -> None:
        """What is under way (start, stop) takes up to `seconds` from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def alive(self) -> None:
        """All is well: the watchdog may sleep on."""
        self._send("WATCHDOG=1")

    def _said(self, text: str) -> str:
        self._status = text
        # A line break would begin another assignment.
        return f"STATUS={escape(cut(text, 500))}"

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.connect(self._address)
                sock.send("\n".join(lines).encode("utf-8", "replace"))
        except OSError as error:
            log.debug("systemd does not hear us: %s", error)


def _address(text: str) -> str:
    # "@" stands for the NUL of an abstract name (sd_notify(3)).
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """sd_watchdog_enabled(3): the time stands for the process of that id alone."""
    text = environ.get("WATCHDOG_USEC", "")
    if not text.isdigit() or int(text) == 0 or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(text) / 1e6
