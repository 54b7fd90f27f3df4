from itertools import count

import pytest
from support.links import Collector

from gateway.hub.ports import UpstreamState
from gateway.upstream.announcer import Announcer


def make(collector: Collector) -> Announcer:
    clock = count(100)
    return Announcer("main", collector, lambda: float(next(clock)))


def test_a_change_is_told_once() -> None:
    collector = Collector()
    announcer = make(collector)

    for wait in (1.0, 2.0, 3.0):
        announcer.change("waiting", url="a", reason="refused", retry_in=wait)

    assert collector.history == ["waiting"]
    assert announcer.state.retry_in == 3.0


def test_since_is_the_beginning_of_the_state() -> None:
    collector = Collector()
    announcer = make(collector)
    announcer.change("waiting", url="a", reason="one")
    began = announcer.state.since

    announcer.change("waiting", url="a", reason="another")

    assert announcer.state.since == began
    assert [state.reason for state in collector.states] == ["one", "another"]


def test_two_urls_that_fail_for_a_reason_each_are_told_once_each() -> None:
    collector = Collector()
    announcer = make(collector)

    for _ in range(5):
        announcer.change("waiting", url="a", reason="refused")
        announcer.change("waiting", url="b", reason="timed out")

    assert len(collector.states) == 2


def test_after_another_state_the_same_is_news_again() -> None:
    collector = Collector()
    announcer = make(collector)

    for _ in range(2):
        announcer.change("waiting", url="a", reason="refused")
        announcer.change("connected", url="a")

    assert collector.history == ["waiting", "connected", "waiting", "connected"]


def test_a_listener_that_fails_is_not_the_links_end(caplog: pytest.LogCaptureFixture) -> None:
    """Its exception ended the link's task, without a word: that broker was followed no more."""

    class Broken(Collector):
        def upstream_changed(self, state: UpstreamState) -> None:
            super().upstream_changed(state)
            raise RuntimeError("a mistake")

    announcer = make(broken := Broken())
    announcer.change("waiting", url="a")
    announcer.change("connected", url="a")

    assert broken.history == ["waiting", "connected"]
    assert caplog.text.count("upstream main: a fault in the gateway; it goes on") == 2
