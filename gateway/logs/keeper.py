"""The history file over one run: opened and begun, written, and set aside where it is broken.

Used by the writer's thread, and by the loop while there is none: at the start and at the end.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway.hub.log import EXPIRED, RESTART
from gateway.hub.message import Message
from gateway.logs.historyfile import Hole, NotOurs, aside, damaged
from gateway.logs.store import Store

logger = logging.getLogger("gateway.history")


class Written(NamedTuple):
    """All up to the offset `until` is on disk, but for `dropped` messages; the file has `size` bytes."""

    until: int
    dropped: int
    size: int


class Keeper:
    """Looks after the file at `path`. `clock` is monotonic seconds.

    `restart` names what an earlier run may have given and not stored; the first opening that succeeds stores it.
    `begin_late` is what a start could not do and has to come before anything is stored: it returns the offset after
    which those of this run begin, far above the ones before, and raises OSError for as long as it cannot be done.
    """

    def __init__(self, path: Path, store: Store, *, clock: Callable[[], float]) -> None:
        self.restart: Hole | None = None
        self.begin_late: Callable[[], int] | None = None
        self._floor = 0
        self.store = store
        self._path = path
        self._clock = clock

    def open(self) -> int:
        """Open the file, a new one where it is broken; the newest offset in it. Raises OSError, sqlite3.Error."""
        self._open()
        return self.store.last_stored()

    def begin(self, committed: int) -> int:
        """A run whose offsets come after `committed`; the file's size in bytes. Raises OSError, sqlite3.Error."""
        self.store.begin_run(self._clock(), committed)
        if self.restart is not None:
            last = self.store.last_stored()
            if last < self.restart.last:
                self.store.write([], [self.restart._replace(first=last + 1)], self._clock())
            self.restart = None  # not before it is stored: another opening has to do it otherwise
        return self.store.size

    def put(self, messages: list[Message], lost: list[Hole], committed: int, suspect: bool) -> Written:
        """Store what waits, and what was `lost` before it; all up to `committed` is thought to be on disk.

        While `suspect` is set, age deletes nothing. Raises OSError, sqlite3.Error: the file is opened anew next time.
        """
        try:
            size = self._put(messages, lost, committed, suspect)
        except (OSError, sqlite3.Error) as error:
            if not damaged(error):
                # What keeps it from being written may have happened to the file as well.
                self.store.drop()
                raise
            self.set_aside(error)
            size = self._put(messages, lost, committed, suspect)
        return Written(messages[-1].offset, sum(hole.last - hole.first + 1 for hole in lost), size)

    def set_aside(self, error: Exception) -> None:
        """The file is broken: keep it under another name. Raises OSError."""
        self.store.drop()
        target = aside(self._path)
        logger.warning("history: %s is broken (%s): kept as %s, a new one is begun", self._path, error, target.name)

    def set_aside_if(self, broken: tuple[int, int], error: Exception) -> None:
        """A reader found the file with this device and inode broken: unless there is another one by now."""
        found = os.stat(self._path)
        if (found.st_dev, found.st_ino) == broken:
            self.set_aside(error)

    def _open(self) -> None:
        try:
            self.store.open()
        except sqlite3.Error as error:
            if not damaged(error):
                raise
            self.set_aside(error)
            self.store.open()

    def _put(self, messages: list[Message], lost: list[Hole], committed: int, suspect: bool) -> int:
        store = self.store
        if self.begin_late is not None:
            self._floor = self.begin_late()
            self.begin_late = None
        if not store.is_open:
            self._open()
            self.begin(committed)
        store.suspect = suspect
        stored = store.last_stored()
        if stored > messages[-1].offset:
            raise NotOurs("it holds offsets that this run has yet to give")
        if stored < committed:
            never = [Hole(stored + 1, self._floor, RESTART, True)] if stored < self._floor else []
            stored = max(stored, self._floor)
            lost = [*never, *([Hole(stored + 1, committed, EXPIRED, False)] if stored < committed else []), *lost]
        elif stored > committed:
            # A disk may have kept a commit to which it answered with an error.
            messages = [message for message in messages if message.offset > stored]
        store.write(messages, lost, self._clock())
        return store.size
