"""Where a replay begins: what the client's wish comes to, by the log's answers. Pure."""

from collections.abc import Callable

from gateway.edge.breaks import Breaks
from gateway.edge.commands import Replay as Wish
from gateway.edge.commands import ReplayAge, ReplayCount, ReplayFrom
from gateway.edge.replay import Replay
from gateway.edge.thinning import Thinner
from gateway.hub.hub import Hub
from gateway.hub.log import Log
from gateway.hub.message import Message

MOST_POINTS = 10_000


class Beginning:
    """Sets `replay` to where a wish wants it, and lives as long as the log takes to answer.

    The replay is `waiting` until then, and `found` is called. `wall` is Unix seconds.
    """

    def __init__(
        self,
        replay: Replay,
        *,
        log: Log,
        hub: Hub,
        wall: Callable[[], float],
        breaks: Breaks,
        found: Callable[[], None],
    ) -> None:
        self._replay = replay
        self._log = log
        self._hub = hub
        self._wall = wall
        self._breaks = breaks
        self._found = found

    def by(self, wish: Wish) -> None:
        """Begin as the client wishes."""
        replay, log = self._replay, self._log
        if isinstance(wish, ReplayCount):
            if wish.count > 0:
                replay.waiting = True
                log.offset_of_last(wish.count, replay.selection, self._past)
        elif isinstance(wish, ReplayAge):
            replay.waiting = True
            log.offset_before(max(0.0, wish.age), self._past)
        elif isinstance(wish, ReplayFrom) and log.names(wish.epoch, wish.offset) and wish.offset > log.newest:
            self._ahead(wish)
        elif isinstance(wish, ReplayFrom) and log.names(wish.epoch, wish.offset) and wish.offset >= 0:
            self._resume(wish)
        else:
            if isinstance(wish, ReplayFrom):
                self._unknown()
            self._last_values()

    def _past(self, offset: int) -> None:
        replay = self._replay
        replay.cursor = replay.fetched = replay.start = min(offset, replay.target)
        replay.waiting = False
        self._found()

    def _last_values(self) -> None:
        self._replay.look(self._hub.values, after=0, until=self._replay.target)

    def _resume(self, wish: ReplayFrom) -> None:
        replay = self._replay
        replay.cursor = replay.fetched = wish.offset
        # Those from now on the client is told as they come.
        replay.broken = self._breaks.since(wish.offset)
        if wish.points is not None:
            self._thin(max(1, min(MOST_POINTS, wish.points)))
        else:
            replay.start, replay.resumes = wish.offset, True

    def _thin(self, points: int) -> None:
        """The last values at once, then what was missed, reduced."""
        replay = self._replay
        sent: set[int] = set()

        def missed(message: Message) -> bool:
            if not replay.covers(message.topic):
                return False
            sent.add(message.offset)
            return True

        replay.look(self._hub.values, after=replay.cursor, until=replay.target, wanted=missed)
        replay.thinner = Thinner(
            points, until=self._wall(), told=lambda message: message.offset in sent, whole=self._hub.keeps
        )

    def _ahead(self, wish: ReplayFrom) -> None:
        """A resume above the newest offset: another gateway on the same log may have been a moment ahead of us."""
        replay = self._replay
        answers: list[bool] = []

        def reached(given: bool) -> None:
            if not replay.waiting:
                answers.append(given)  # within the call
                return
            replay.waiting = False
            if replay.subscriptions:  # else the client has unsubscribed meanwhile
                self._caught_up(wish, given)
                self._found()

        self._log.reach(wish.offset, reached)
        if answers:
            self._caught_up(wish, answers[0])
        else:
            replay.waiting = True

    def _caught_up(self, wish: ReplayFrom, given: bool) -> None:
        replay = self._replay
        if given:
            replay.target = max(wish.offset, self._log.newest)
            self._resume(wish)
            return
        self._unknown()
        replay.cursor = replay.fetched = replay.target = self._log.newest
        self._last_values()

    def _unknown(self) -> None:
        """Another run's offsets: of this one the client has nothing, and nobody can say what it missed of that."""
        self._replay.complete = False
        self._replay.foreign = True
