"""The file that keeps offsets from ever naming two messages: `offsets` in the state folder.

It holds the epoch and a mark above every offset that may be in use, synced before any of them is. After an unclean
stop the counter goes on from the mark, never from the last stored row: what was given and not stored is skipped. The
epoch is new where the machine is another one (a cloned card), after `renew` (a restored backup), and where the file
does not fit the rows that are stored.
"""

import fcntl
import os
import secrets
import threading
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.errors import GatewayError

RESERVE = 65_536
WITHOUT_END = 1 << 62
"""Reserved where nothing could be: until that can be done after all, the offsets of such a run end with it."""
NAME = "offsets"
MACHINE_ID = Path("/etc/machine-id")
PATIENCE = 5.0  # seconds that a run waits for the one before it to end
_SLOT = 512


class _Record(msgspec.Struct, frozen=True):
    number: int
    epoch: str
    machine: str
    mark: int
    stopped: int | None = None
    exact: bool = False


class Resumed(NamedTuple):
    """How the counter goes on: the next offset is above `newest`; `skipped` (first, last) was reserved by a run that
    did not end well. Those name no message that anybody has seen where that run was `exact`: it stored each before
    handing it on."""

    epoch: str
    newest: int
    skipped: tuple[int, int] | None
    exact: bool


class Offsets:
    """Reserves offsets in blocks of at least 65,536.

    The file has its full size from the beginning and is overwritten in place, so that a full disk cannot keep the mark
    from moving; two slots are written in turn, so that a torn write leaves the other. It is locked for the run, so
    that two gateways cannot give the same offsets. `reserve`, `inexact` and `stop` may come from several threads.
    """

    def __init__(self, folder: Path, *, machine_id: Path = MACHINE_ID) -> None:
        self.path = folder / NAME
        self.reserved = 0
        self._machine_id = machine_id
        self._record = _Record(0, "", "", 0)
        self._lock = threading.Lock()
        self._file = -1

    def lock(self) -> None:
        """Take the file for this run. Raises OSError, GatewayError where another gateway has it."""
        if self._file < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take()

    def resume(self, last_stored: int, *, exact: bool) -> Resumed:
        """Take up where the last run ended, and reserve the first block.

        `last_stored` is the newest offset on disk, `exact` whether this run stores what it hands on before it does.

        Raises OSError where nothing can be written, GatewayError where another gateway holds the folder.
        """
        self.lock()
        machine = _machine(self._machine_id)
        found = read(self.path)
        skipped = None
        if found is None:
            # Without the file nobody knows what was in use: new names for everything.
            newest = last_stored + RESERVE if last_stored else 0
            record = _Record(0, _epoch(), machine, newest)
        else:
            newest = found.mark if found.stopped is None else found.stopped
            record = found
            if found.machine != machine or last_stored > newest:
                newest = max(newest, last_stored)
                record = msgspec.structs.replace(found, epoch=_epoch(), machine=machine)
            elif newest > last_stored and found.stopped is None:
                skipped = last_stored + 1, newest
        self._record = msgspec.structs.replace(record, mark=newest, stopped=None, exact=exact)
        self.reserve(newest, record.epoch, RESERVE)
        return Resumed(record.epoch, newest, skipped, record.exact)

    def reserve(self, used: int, epoch: str, size: int) -> None:
        """Let the `size` offsets after `used` be used under `epoch`. Returns once that is on disk. Raises OSError.

        Under an epoch that is not the record's, more than what is stored may have been handed on already.
        """
        with self._lock:
            if used + size > self.reserved or epoch != self._record.epoch:
                exact = self._record.exact and epoch == self._record.epoch
                self._write(msgspec.structs.replace(self._record, mark=used + size, epoch=epoch, exact=exact))
                self.reserved = used + size

    def rewrite(self) -> None:
        """Write what is there already, to learn whether that works. Raises OSError."""
        with self._lock:
            self._write(self._record)

    def inexact(self) -> None:
        """From now on this run hands on what it has not stored. Raises OSError."""
        with self._lock:
            if self._record.exact:
                self._write(msgspec.structs.replace(self._record, exact=False))

    def stop(self, newest: int, epoch: str) -> None:
        """A clean end: the next run goes on in `epoch` after `newest`. Raises OSError."""
        with self._lock:
            if self._file >= 0:
                self._write(msgspec.structs.replace(self._record, stopped=newest, epoch=epoch))

    def release(self) -> None:
        """Let another run have the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self) -> None:
        """Open and lock the file; a new one is as long as it will ever be."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.release()
                    raise GatewayError(
                        f"{self.path.parent}: another gateway is running on this state folder; "
                        "give each its own [gateway] state_dir"
                    ) from None
                time.sleep(0.05)
        if os.fstat(self._file).st_size < 2 * _SLOT:
            try:
                os.pwrite(self._file, b" " * (2 * _SLOT), 0)
                folder = os.open(self.path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
            except OSError:
                self.release()  # the next attempt shall do all of it
                raise

    def _write(self, record: _Record) -> None:
        record = msgspec.structs.replace(record, number=self._record.number + 1)
        body = msgspec.json.encode(record)
        slot = b"%08x %b\n" % (zlib.crc32(body), body)
        os.pwrite(self._file, slot.ljust(_SLOT), _SLOT * (record.number % 2))
        os.fsync(self._file)
        self._record = record


def read(path: Path) -> _Record | None:
    """The newest whole record in the file; None where there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    found = []
    for start in (0, _SLOT):
        check, _, body = data[start : start + _SLOT].strip().partition(b" ")
        try:
            if int(check, 16) == zlib.crc32(body):
                found.append(msgspec.json.decode(body, type=_Record))
        except (ValueError, msgspec.DecodeError):
            continue  # torn, or never written: the other slot counts
    return max(found, key=lambda record: record.number, default=None)


def renew(folder: Path) -> None:
    """Give the folder a new epoch: what is in it was restored, later offsets may have been in use since.

    Raises OSError, GatewayError where a gateway is running on it.
    """
    offsets = Offsets(folder)
    found = read(offsets.path)
    if found is not None:
        offsets.lock()
        try:
            offsets._record = found
            offsets._write(msgspec.structs.replace(found, epoch=_epoch()))
        finally:
            offsets.release()


def _epoch() -> str:
    return secrets.token_hex(4)


def _machine(path: Path) -> str:
    """A digest of the machine's id: the id itself is confidential (machine-id(5))."""
    try:
        text = path.read_bytes().strip()
    except OSError:
        return ""  # a container without one cannot be told from its clone
    return f"{zlib.crc32(b'sensor-gateway ' + text):08x}"
