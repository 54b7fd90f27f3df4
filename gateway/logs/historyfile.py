"""The history's file as a whole: its schema, what tells that it is broken, and how it is moved out of the way."""

import os
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

APPLICATION = 0x53474C31
VERSION = 1
PAGE = 4096
WAL_HEADER = 32
FRAME_HEADER = 24
BUSY = 5.0
"""Seconds to wait for a checkpoint of the other connection."""

SCHEMA = f"""
PRAGMA page_size = {PAGE};
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE span (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, since REAL, until REAL, lived REAL NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE block (first INTEGER PRIMARY KEY, topics BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE hole (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL, empty INTEGER NOT NULL);
CREATE TABLE run (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, monotonic REAL NOT NULL, lived REAL NOT NULL,
    after INTEGER NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, low INTEGER NOT NULL, high INTEGER NOT NULL);
CREATE TABLE minute (series INTEGER, minute INTEGER, at REAL, min REAL, max REAL, last REAL, samples INTEGER,
    PRIMARY KEY (series, minute)) WITHOUT ROWID;
"""


class Hole(NamedTuple):
    """Offsets `first` to `last` are in no block; `empty` where they are known to have named nothing."""

    first: int
    last: int
    reason: str
    empty: bool


class MinuteRow(NamedTuple):
    """One minute of a series: Unix time of the last value, smallest, largest, last, how many."""

    minute: int
    at: float
    min: float
    max: float
    last: float
    samples: int


class NotOurs(sqlite3.DatabaseError):
    """The file is a database, but not this one's."""


def damaged(error: Exception) -> bool:
    """Whether an error means that the file itself is broken, rather than the disk full or gone for now."""
    return isinstance(error, NotOurs) or getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def boot_id() -> str:
    """The kernel's name for this boot: the monotonic clock counts on within one only (proc(5))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def torn(path: Path) -> bool:
    """Whether the write-ahead log was cut off: it ends within a frame, as none does that was only not closed.

    A frame is a header and a page, behind the log's own header (SQLite, "WAL-mode File Format"). SQLite writes the two
    one after the other: a process that is killed in between leaves the header alone, and has lost nothing.
    """
    try:
        size = os.stat(f"{path}-wal").st_size
    except OSError:
        return False  # there is none, or nothing at all can be read
    return size == 0 or (size - WAL_HEADER) % (FRAME_HEADER + PAGE) not in (0, FRAME_HEADER)


def aside(path: Path) -> Path:
    """Move a broken file and its companions out of the way, never to be deleted by us. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    target = path.with_name(f"{path.name}.broken-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.broken-{stamp}-{number}")
    for ending in ("", "-wal", "-shm"):
        try:
            os.rename(f"{path}{ending}", f"{target}{ending}")
        except FileNotFoundError:
            continue  # it has no such companion
    return target
