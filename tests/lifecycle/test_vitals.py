import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.hub.ports import BLIND, CONNECTED, WAITING, UpstreamState
from gateway.lifecycle.vitals import Blindness, checks, history_fault, status_words
from gateway.logs.worker import Worker


class Link:
    """What the checks read of a link."""

    def __init__(self, state: str, *, canary: float = 5.0, since: float = 0.0, reason: str | None = None) -> None:
        self.name = "barn"
        self.settings = SimpleNamespace(canary=canary)
        self.counters = SimpleNamespace(messages=0)
        self.state = UpstreamState("barn", state, since, reason=reason)


def house(*links: Link, clients: int = 0) -> tuple[Any, Any]:
    room = SimpleNamespace(hub=SimpleNamespace(settled=0, turns=0), log=SimpleNamespace(newest=0))
    server = SimpleNamespace(room=room, connections=dict.fromkeys(range(clients)))
    upstreams = SimpleNamespace(links=links, states=lambda: [link.state for link in links])
    return server, upstreams


def clock() -> tuple[dict[str, float], Callable[[], float]]:
    at = {"now": 0.0}
    return at, lambda: at["now"]


def test_the_status_says_how_many_are_down_since_when_and_why() -> None:
    since = time.mktime((2026, 1, 31, 14, 2, 0, 0, 0, -1))
    down = Link(WAITING, since=since, reason="connection refused")
    words = status_words(*house(Link(CONNECTED), down, clients=31))
    assert words == "2 upstreams, 1 down since 14:02 (barn: connection refused); 31 clients"
    assert status_words(*house(Link(CONNECTED), clients=1)) == "1 upstream; 1 client"


@pytest.mark.parametrize("state", [WAITING, CONNECTED])
def test_a_broker_that_is_away_is_no_fault(state: str) -> None:
    at, now = clock()
    check = Blindness(house(Link(state))[1], now)
    assert check() is None
    at["now"] = 10_000.0
    assert check() is None


def test_a_blind_link_is_a_fault_once_every_cure_was_tried() -> None:
    at, now = clock()
    check = Blindness(house(Link(BLIND, canary=5.0))[1], now)
    assert check() is None
    at["now"] = 19.0
    assert check() is None
    at["now"] = 20.0
    assert check() == "barn has been blind for 20 s: connected, but nothing comes back"


def test_a_link_that_brings_messages_only_lacks_the_right_for_its_probe() -> None:
    at, now = clock()
    link = Link(BLIND)
    check = Blindness(house(link)[1], now)
    for second in range(100):
        at["now"] = float(second)
        link.counters.messages += 1
        assert check() is None


def test_a_dead_thread_of_the_history_names_itself() -> None:
    worker = Worker("history-writer", lambda call: call())
    assert history_fault([worker]) is None
    worker.submit(lambda: None, lambda result, failure: None)
    assert worker.stop(5.0)
    dead = SimpleNamespace(name="history-writer", alive=False)
    assert history_fault([worker, dead]) == "the thread history-writer is dead"


def test_a_thread_that_waits_for_its_disk_is_no_fault() -> None:
    """The watchdog started a gateway again that served everybody, and the new one waited for the same disk."""
    answers = threading.Event()
    worker = Worker("history-writer", lambda call: call())
    worker.submit(lambda: answers.wait(10), lambda result, failure: None)
    worker.busy_since = time.monotonic() - 3600.0
    assert history_fault([worker]) is None
    answers.set()
    assert worker.stop(5.0)


def test_a_hub_that_does_not_move_is_a_fault() -> None:
    at, now = clock()
    server, upstreams = house()
    check = checks(server, upstreams, now)["hub"]
    server.room.log.newest = 5
    at["now"] = 21.0
    fault = check()
    assert fault is not None
    assert "has not moved for 21 s" in fault
    server.room.hub.turns += 1
    assert check() is None


def test_history_is_watched_where_it_has_threads() -> None:
    server, upstreams = house()
    assert "history" not in checks(server, upstreams, time.monotonic)
    server.room.log.writer = SimpleNamespace(name="history-writer", alive=False)
    assert checks(server, upstreams, time.monotonic)["history"]() == "the thread history-writer is dead"
