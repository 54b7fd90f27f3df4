"""An audience: clients for whom every message becomes the same bytes."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from gateway.hub.batch import Batch
from gateway.hub.message import Message
from gateway.topics import matches

STRIDE = 32
DIRECT = 64 * 1024


class Subscription(NamedTuple):
    """One filter of a client, with what it asked for.

    `latest`: only the newest value per topic matters whenever the client is behind. `interval` in seconds (0: every
    message). `readings` and `data` say what a message shows.
    """

    filter: str
    latest: bool = False
    interval: float = 0.0
    readings: bool = False
    data: bool = True


class View(NamedTuple):
    """What a message shows to an audience, resolved for one topic: the most demanding subscription wins.

    `replay` marks what is told again.
    """

    readings: bool = False
    data: bool = True
    replay: bool = False


class Variant(Protocol):
    """A dialect's encoding of messages: equal variants make equal bytes."""

    def __hash__(self) -> int: ...

    def encoder(self, topic: str, view: View) -> Callable[[Message], bytes]:
        """The function that makes the frame of a message of `topic`."""


class AudienceKey(NamedTuple):
    """All that makes bytes differ: the variant, the whole table of subscriptions, and the role's denies."""

    variant: Hashable
    table: tuple[Subscription, ...]
    denies: tuple[str, ...] = ()

    def wants(self, topic: str) -> bool:
        """Whether a message of `topic` goes to this audience."""
        return any(matches(s.filter, topic) for s in self.table) and not any(matches(d, topic) for d in self.denies)


class Viewer(Protocol):
    """A client as the hub sees it. `queued` is true while its outbox holds anything; `send` is its socket's own."""

    queued: bool
    send: Callable[[bytes], int]

    def push(self, batch: Batch) -> None:
        """Take `batch` behind what already waits, or send it now."""

    def short(self, batch: Batch, taken: int) -> None:
        """`send` took only `taken` bytes of `batch`."""

    def failed(self, batch: Batch, error: OSError) -> None:
        """`send` of the whole `batch` raised `error` (would block, or the connection is gone)."""


class _Pass:
    __slots__ = ("at", "batch", "line")

    def __init__(self, batch: Batch, line: list[Viewer]) -> None:
        self.batch = batch
        self.line = line
        self.at = 0


class Audience:
    """Members, the frames of the open turn, and passes that have not reached every member yet."""

    __slots__ = (
        "_line",
        "_members",
        "_passes",
        "_resolved",
        "delivered",
        "dirty",
        "frames",
        "full",
        "kept",
        "key",
        "messages",
        "sent_at",
        "variant",
    )

    def __init__(self, key: AudienceKey, kept: Callable[[str], bool] | None = None) -> None:
        self.key = key
        self.variant: Variant = key.variant  # type: ignore[assignment]
        self.frames: list[bytes] = []
        self.messages: list[Message] = []
        self.dirty = False
        self.full = False
        self.delivered = 0
        self.sent_at = 0.0
        self.kept = kept
        self._members: dict[Viewer, None] = {}
        self._line: list[Viewer] | None = []
        self._passes: deque[_Pass] = deque()
        self._resolved: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._members)

    def view(self, topic: str) -> View:
        """What its messages of `topic` show."""
        table = self.key.table
        if len(table) == 1:
            return View(table[0].readings, table[0].data)
        mine = [s for s in table if matches(s.filter, topic)]
        return View(any(s.readings for s in mine), any(s.data for s in mine))

    def mergeable(self, topic: str) -> bool:
        """Whether its members asked for the newest value of `topic` only."""
        verdict = self._resolved.get(topic)
        if verdict is None:
            if len(self._resolved) > 4096:
                self._resolved.clear()
            mine = [s for s in self.key.table if matches(s.filter, topic)]
            verdict = self._resolved[topic] = bool(mine) and all(s.latest for s in mine)
        return verdict

    def join(self, viewer: Viewer) -> None:
        """Let `viewer` have what is published from now on."""
        self._close()
        self._members[viewer] = None
        self._line = None

    def leave(self, viewer: Viewer, *, gone: bool) -> None:
        """Let `viewer` go; unless it is gone altogether, what is under way for it goes into its outbox now."""
        if viewer not in self._members:
            return
        self._close()
        del self._members[viewer]
        self._line = None
        for under_way in self._passes:
            try:
                place = under_way.line.index(viewer)
            except ValueError:
                continue
            under_way.line = under_way.line[:place] + under_way.line[place + 1 :]
            if place < under_way.at:
                under_way.at -= 1
            elif not gone:
                viewer.push(under_way.batch)

    def flush(self, clock: Callable[[], float], deadline: float) -> bool:
        """Give every member what was published; False where the time slice ended before all had it."""
        self._close()
        passes = self._passes
        while passes:
            under_way = passes[0]
            if not self._run(under_way, clock, deadline):
                return False
            passes.popleft()
            messages = under_way.batch.messages
            self.delivered += len(messages or ()) * len(under_way.line)
        self.sent_at = clock()
        return True

    def _close(self) -> None:
        if not self.frames:
            return
        frames, messages = self.frames, self.messages
        self.frames, self.messages = [], []
        if self._line is None:
            self._line = list(self._members)
        if not self._line:
            return
        latest = any(s.latest for s in self.key.table)
        batch = Batch(frames, messages, mergeable=self.mergeable if latest else None, kept=self.kept)
        self._passes.append(_Pass(batch, self._line))

    def _run(self, under_way: _Pass, clock: Callable[[], float], deadline: float) -> bool:
        line, batch = under_way.line, under_way.batch
        blob = batch.blob
        size = len(blob)
        while under_way.at < len(line):
            start = under_way.at
            part = line if len(line) <= STRIDE else line[start : start + STRIDE]
            # Whoever leaves while this runs must find the pass beyond it.
            under_way.at = start + len(part)
            if size > DIRECT:
                for viewer in part:
                    viewer.push(batch)
                    if viewer.queued:
                        self.full = True
            else:
                for viewer in part:
                    if viewer.queued:
                        viewer.push(batch)
                        self.full = True
                        continue
                    try:
                        taken = viewer.send(blob)
                    except OSError as error:
                        viewer.failed(batch, error)
                        continue
                    if taken != size:
                        viewer.short(batch, taken)
            line = under_way.line
            if under_way.at < len(line) and clock() > deadline:
                return False
        return True
