"""Where the log goes: text or JSON on standard error, or native entries to the journal.

Whoever reads the log must never hold up the gateway: what a full pipe or a stuck journal does not take at once is
dropped, counted, and told of as soon as something gets through again.
"""

import logging
import os
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from gateway.config import Log
from gateway.operations.lines import as_journal, as_json, as_text
from gateway.operations.repeats import Repeats

JOURNAL = Path("/run/systemd/journal/socket")
LOGGERS = ("gateway", "sensor_gateway", "asyncio")
_LARGEST = 4096  # PIPE_BUF: what is no longer goes into a pipe that is ready at once or not at all (pipe(7))

Write = Callable[[logging.LogRecord], bool]


class Output(logging.Handler):
    """Hands each record to `write`, which says whether it was taken; counts what was not."""

    def __init__(self, write: Write, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.dropped = 0
        self._untold = 0
        self._write = write
        self.repeats = Repeats(clock, self._pass)
        self.addFilter(self.repeats)

    def emit(self, record: logging.LogRecord) -> None:
        self._pass(record)

    def retire(self) -> None:
        """Say what was held back, and give back what it writes to."""
        self.repeats.flush()
        if isinstance(self._write, ToJournal):
            self._write.close()

    def _pass(self, record: logging.LogRecord) -> None:
        try:
            if self._untold:
                text = "%d lines of the log were dropped: whoever reads it is too slow"
                told = logging.LogRecord("gateway", logging.WARNING, __file__, 0, text, (self._untold,), None)
                if self._write(told):
                    self._untold = 0
            if self._untold or not self._write(record):
                self.dropped += 1
                self._untold += 1
        except Exception:  # a record that cannot be written must not end what it tells of
            self.dropped += 1
            self._untold += 1


class ToStream:
    """Writes lines to a file descriptor that may be a terminal, a file or a pipe nobody reads."""

    def __init__(self, descriptor: int, line: Callable[[logging.LogRecord], str]) -> None:
        self._descriptor = descriptor
        self._line = line
        self._poll: select.poll | None = None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    def __call__(self, record: logging.LogRecord) -> bool:
        data = (self._line(record) + "\n").encode("utf-8", "replace")
        if self._poll is None:
            os.write(self._descriptor, data)
            return True
        while data:
            ready = self._poll.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT:
                return False
            data = data[os.write(self._descriptor, data[:_LARGEST]) :]
        return True


class ToJournal:
    """Sends native entries to the journal's socket."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def __call__(self, record: logging.LogRecord) -> bool:
        try:
            self._socket.sendto(as_journal(record), self._path)
        except OSError:
            return False  # full, or journald restarts just now
        return True

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


def set_up(log: Log, *, environ: Mapping[str, str] = os.environ, descriptor: int | None = None) -> Output:
    """Write the log as `log` says from now on; called again at a reload. Returns what it goes through."""
    descriptor = sys.stderr.fileno() if descriptor is None else descriptor
    chosen = log.format
    if chosen == "auto":
        chosen = "journal" if goes_to_journal(environ, descriptor) else "text"
    write: Write
    if chosen == "journal":
        write = ToJournal(JOURNAL)
    else:
        write = ToStream(descriptor, as_json if chosen == "json" else as_text)
    output = Output(write)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        before, logger.handlers[:] = list(logger.handlers), [output]
        logger.propagate = False
        logger.setLevel(log.level.upper())
        if name == "asyncio":  # what it says below a warning is for whoever writes event loops
            logger.setLevel(max(logger.level, logging.WARNING))
        for handler in before:
            if isinstance(handler, Output):
                handler.retire()
    return output


def tell_faults() -> None:
    """Let what ends the process or one of its threads stand in the log, in the log's own form."""
    log = logging.getLogger(LOGGERS[0])

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("a fault of ours ends the gateway: please report it", exc_info=(kind, error, trace))

    def thread_ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:  # SystemExit never comes here
            name = args.thread.name if args.thread is not None else "unknown"
            text = "a fault of ours ends the thread %s: please report it"
            log.critical(text, name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook, threading.excepthook = ended, thread_ended


def tick(now: float) -> None:
    """Called about once a second: what was held back of repeated events is said in time. `now` is monotonic."""
    for handler in logging.getLogger(LOGGERS[0]).handlers:
        if isinstance(handler, Output):
            handler.repeats.tick(now)


def flush() -> None:
    """Say all that was held back: the process ends."""
    for handler in logging.getLogger(LOGGERS[0]).handlers:
        if isinstance(handler, Output):
            handler.repeats.flush()


def dropped() -> int:
    """Lines of the log, since it was last set up, that nobody took."""
    return sum(each.dropped for each in logging.getLogger(LOGGERS[0]).handlers if isinstance(each, Output))


def goes_to_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Whether standard error is a stream to the journal (systemd.exec(5), $JOURNAL_STREAM: its device and inode)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino)) and JOURNAL.exists()
