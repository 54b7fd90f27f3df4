"""What the watchdog asks of the parts, and how it goes, in words."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.edge.server import Server
from gateway.hub.ports import BLIND, CONNECTED
from gateway.operations.health import Check, Progress
from gateway.upstream.link import Link
from gateway.upstream.upstreams import Upstreams

STUCK = 20.0  # seconds
BLIND_PROBES = 4  # every cure has been tried by then


class Thread(Protocol):
    """A thread of the history."""

    name: str

    @property
    def alive(self) -> bool:
        """Whether it is there."""


def status_words(server: Server, upstreams: Upstreams) -> str:
    """Such as "2 upstreams, 1 down since 14:02; 31 clients"."""
    states = upstreams.states()
    down = [state for state in states if state.state != CONNECTED]
    words = _plural(len(states), "upstream")
    if down:
        since = time.strftime("%H:%M", time.localtime(min(state.since for state in down)))
        # What is wrong with one link can be said; of several, how many.
        name = f" ({down[0].name}: {down[0].reason or down[0].state})" if len(down) == 1 else ""
        words += f", {len(down)} down since {since}{name}"
    return f"{words}; {_plural(len(server.connections), 'client')}"


def checks(server: Server, upstreams: Upstreams, clock: Callable[[], float]) -> dict[str, Check]:
    """What must be well, by the name of the part."""
    hub, log = server.room.hub, server.room.log
    found: dict[str, Check] = {
        "hub": Progress(
            "handing out to the clients", lambda: hub.settled < log.newest, lambda: hub.turns, clock, STUCK
        ),
        "upstream": Blindness(upstreams, clock),
    }
    # A log in memory alone has no threads. (Its class is not asked: an edge box does not load what it does not use.)
    names = ("writer", "reader", "reserver")
    workers = [worker for name in names if (worker := getattr(log, name, None)) is not None]
    if workers:
        found["history"] = lambda: history_fault(workers)
    return found


def history_fault(workers: Sequence[Thread]) -> str | None:
    """What is wrong with the threads of the history.

    A disk that is full, broken or does not answer is not: the stream goes on without it, and another start would wait
    for the same disk.
    """
    dead = [worker.name for worker in workers if not worker.alive]
    return f"the thread {dead[0]} is dead" if dead else None


class Blindness:
    """Finds links that say they are connected while neither their own probe nor anything else comes back.

    A link on which messages do come is only one whose probe the broker does not let pass.
    """

    def __init__(self, upstreams: Upstreams, clock: Callable[[], float]) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._blind: dict[str, tuple[float, int]] = {}

    def __call__(self) -> str | None:
        now, before, self._blind = self._clock(), self._blind, {}
        for link in self._upstreams.links:
            if link.state.state != BLIND:
                continue
            since, messages = before.get(link.name, (now, link.counters.messages))
            if link.counters.messages == messages:
                self._blind[link.name] = since, messages
                if now - since >= _patience(link):
                    return f"{link.name} has been blind for {now - since:.0f} s: connected, but nothing comes back"
        return None


def _patience(link: Link) -> float:
    return BLIND_PROBES * (link.settings.canary or 0.0)


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
