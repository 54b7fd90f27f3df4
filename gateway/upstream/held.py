"""Filters that brokers' sessions hold for us: a session outlives the process that made it, and MQTT has no way to ask.

Without them a filter taken out of the configuration while the gateway is down would go on bringing its messages, and
one that overlaps a new one would bring each message twice.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gateway.latestfile import LatestFile

logger = logging.getLogger("gateway.upstream")

NAME = "subscriptions.json"
MOST = 100  # sessions remembered; the one that was taken up the longest ago is forgotten first
WAIT = 0.5  # seconds for which a link waits until they are written: a disk may hang, and the process end in between


class Held:
    """By session, which is a client id at a broker. Without a file, or where it cannot be written: in memory alone."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = LatestFile(path, "upstream-sessions") if path is not None else None
        self._sessions: dict[str, list[str]] = {}
        if self._file is not None:
            try:
                self._sessions = msgspec.json.decode(self._file.read() or b"{}", type=dict[str, list[str]])
            except (OSError, msgspec.DecodeError) as error:
                logger.warning("%s cannot be read: %s; filters of before may go on bringing messages", path, error)

    def begin(self, session: str, wanted: Iterable[str], *, kept: bool) -> list[str]:
        """Before `wanted` is subscribed: the filters to let go of, where the broker `kept` the session of before."""
        filters = list(wanted)
        rest = [filter for filter in self._sessions.get(session, ()) if filter not in filters] if kept else []
        # Both, until it is done: the process may end in between.
        self._note(session, [*filters, *rest])
        return rest

    def settle(self, session: str, wanted: Iterable[str]) -> None:
        """The broker has answered: `wanted` it is, and nothing else."""
        self._note(session, list(wanted))

    def _note(self, session: str, filters: list[str]) -> None:
        if self._sessions.get(session) == filters:
            return
        self._sessions.pop(session, None)
        self._sessions[session] = filters
        while len(self._sessions) > MOST:
            del self._sessions[next(iter(self._sessions))]
        if self._file is not None:
            self._file.write(msgspec.json.encode(self._sessions), wait=WAIT)
