import asyncio
import contextlib
import os

import pytest
from support.hangingdisk import HangingDisk

from gateway.logs.sqlite import SqliteLog
from gateway.logs.store import Store


class Clock:
    def __init__(self):
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def machine_id(tmp_path):
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    return file


@pytest.fixture
async def make_log(tmp_path, clock, machine_id):
    """A function that makes and opens a log in the test's folder; all that are open end with the test."""
    open_logs = []

    def make(taken=None, **options):
        settings = {
            "path": tmp_path / "state" / "history.db",
            "folder": tmp_path / "state",
            "limit": 1 << 24,
            "age": 600.0,
            "disk_limit": 1 << 30,
            "disk_age": 7 * 86400.0,
            "commit": 0.05,
            "durable": False,
            "loop": asyncio.get_running_loop(),
            "clock": clock,
            "wall": lambda: clock.wall,
            "machine_id": machine_id,
            "boot": "boot-1",
            "retry": 0.05,
        } | options
        taken = [] if taken is None else taken
        log = SqliteLog(taken.extend, **settings)
        log.taken = taken
        log.recent = log.open()
        open_logs.append(log)
        return log

    yield make
    for log in open_logs:
        with contextlib.suppress(Exception):
            log.close()


def crash(log):
    """The process dies here: threads end, nothing is written any more, and nothing is closed cleanly."""
    log._closed = True
    if log._timer is not None:
        log._timer.cancel()
    log.reader.stop(5)
    log.writer.stop(5)
    log.reserver.stop(5)
    log.shelf.close()
    # Closing the last connection would fold the write-ahead log into the file: copies of both stay as they were.
    folder = log._path.parent
    kept = {file: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
    log.store.drop()
    log._offsets.release()
    for file in folder.iterdir():
        file.unlink()
    for file, data in kept.items():
        file.write_bytes(data)
    log.close = lambda: None


@pytest.fixture(name="crash")
def crash_fixture():
    return crash


async def stored(log):
    """Wait until everything is handed on and on disk."""
    async with asyncio.timeout(10):
        while log._backlog.waits or log.newest < log._backlog.given:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(0.005)


@pytest.fixture(name="stored")
def stored_fixture():
    return stored


@pytest.fixture
def disk():
    disk = HangingDisk()
    yield disk
    disk.answer()


@pytest.fixture
def hanging(disk, monkeypatch):
    """A disk on which everything hangs: the offsets' file and the history's, but for reading."""
    monkeypatch.setattr("gateway.logs.offsets.os.fsync", disk.through(os.fsync))
    monkeypatch.setattr("gateway.logs.offsets.os.pwrite", disk.through(os.pwrite))
    monkeypatch.setattr(Store, "write", disk.through(Store.write))
    return disk
