"""File descriptors: how many there are for clients, and what is said while there are none."""

import errno
import logging
import resource

log = logging.getLogger("gateway.edge")

RESERVED_FDS = 64  # for broker links, files and name look-ups
SAY_AGAIN = 60.0
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def descriptors_for_clients() -> int:
    """How many connections the process may hold open, some descriptors left for all else; raises the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1_000_000 if hard == resource.RLIM_INFINITY else max(1, hard - RESERVED_FDS)


class Shortage:
    """Says when new clients have to wait, and when no longer; `now` is monotonic seconds.

    One word of relief for one of trouble, however often it comes and goes.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._said_at: float | None = None
        self._owed = False

    def begins(self, error: OSError, now: float) -> None:
        """A connection could not be taken."""
        if self._since is None:
            self._since = now
        if self._said_at is None or now - self._said_at >= SAY_AGAIN:
            self._said_at = now
            self._owed = True
            log.warning("cannot accept: %s; clients live on, new ones wait", error.strerror)

    def ends(self, now: float) -> None:
        """One could."""
        if self._since is not None:
            if self._owed:
                log.info("accepting again after %.0f s", now - self._since)
                self._owed = False
            self._since = None
