"""A client's question for numbers of the past: is it allowed, does it make sense, who answers it. Pure."""

from collections.abc import Callable

import msgspec

from gateway.edge.commands import History
from gateway.edge.events import Ok
from gateway.edge.roles import Role, may_see
from gateway.errors import CommandError
from gateway.hub.series import Query, Series, SeriesReader, Source, path_source
from gateway.topics import shorten, validate_topic

MOST_POINTS = 5000
QUESTIONS = 8  # of one client that may wait for their answers
FAR = 1e11  # Unix seconds, three thousand years: what lies beyond is no time that anybody meant

Locate = Callable[[str, str | None, str], Source | None]
"""Finds the source of a reading by its device, channel and quantity, None where no such reading was heard."""


class Archive(msgspec.Struct, frozen=True):
    """Where the past is asked for."""

    reader: SeriesReader
    locate: Locate | None = None


class Questions:
    """One client's questions: so many may wait for their answers at a time."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = 0

    def ask(self, archive: Archive | None, role: Role, command: History, tell: Callable[[Ok], None]) -> None:
        """Have `tell` called with the answer, on the loop. Raises CommandError where there will be none."""
        if self._waiting >= QUESTIONS:
            raise CommandError("too-fast", f"{QUESTIONS} of your questions wait for their answers", command.id)

        def answer(series: Series) -> None:
            self._waiting -= 1
            tell(Ok(id=command.id, series=series.rows, complete=series.complete))

        ask(archive, role, command, answer)
        self._waiting += 1


def ask(archive: Archive | None, role: Role, command: History, done: Callable[[Series], None]) -> None:
    """Have `done` called with the answer, on the loop. Raises CommandError where there will be none."""
    if archive is None:
        raise CommandError("no-history", "this gateway keeps no history", command.id)
    if not 1 <= command.points <= MOST_POINTS:
        raise CommandError("unsupported", f"points is a number from 1 to {MOST_POINTS}", command.id)
    since, until = max(command.since, 0.0), min(command.until, FAR)
    if not since < until:
        raise CommandError("unsupported", "from is before to, both in Unix seconds", command.id)
    source = _source(archive, role, command)
    if not archive.reader.query(Query(source, since, until, command.points), done):
        raise CommandError("too-fast", "too many such questions wait for their answers", command.id)


def _source(archive: Archive, role: Role, command: History) -> Source:
    if command.topic is not None:
        try:
            validate_topic(command.topic)
            source = path_source(command.topic, command.path)
        except ValueError as error:
            raise CommandError("bad-filter", str(error), command.id) from None
        if not may_see(role, command.topic):
            text = f'role "{role.name}" may not see {shorten(command.topic)}'
            raise CommandError("forbidden", text, command.id)
        return source
    if command.device is None or command.quantity is None:
        raise CommandError("unsupported", "history is of a topic, or of a device and its quantity", command.id)
    found = None
    if archive.locate is not None:
        found = archive.locate(command.device, command.channel, command.quantity)
    # A reading of a topic that this role may not see is, to it, one that was never heard.
    if found is None or not all(may_see(role, topic) for topic in found.topics):
        name = " ".join(part for part in (command.device, command.channel, command.quantity) if part)
        raise CommandError("no-history", f"no reading {shorten(name)} was heard", command.id)
    return found
