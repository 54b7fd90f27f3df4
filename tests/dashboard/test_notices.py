"""What the page says of things that happen seldom: staleness, losses, a slow link, an upgrade.

The stream is the real gateway's; a router in the browser adds or changes single objects in it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from support.daemon import Daemon
from support.publisher import Publisher

pytestmark = pytest.mark.slow


class Stream:
    """The page's WebSockets, with a hand in them."""

    def __init__(self, page: Page) -> None:
        self.change: Callable[[dict[str, Any]], None] = lambda event: None
        self._routes: list[WebSocketRoute] = []
        page.route_web_socket(re.compile("/stream"), self._pass_on)

    def _pass_on(self, route: WebSocketRoute) -> None:
        self._routes.append(route)
        server = route.connect_to_server()

        def forward(text: str | bytes) -> None:
            event = json.loads(text)
            self.change(event)
            route.send(json.dumps(event))

        server.on_message(forward)

    def say(self, **event: object) -> None:
        """Have the page hear something more."""
        self._routes[-1].send(json.dumps(event))

    def end(self, code: int, reason: str = "") -> None:
        """Close it as the gateway would."""
        self._routes[-1].close(code=code, reason=reason)


@pytest.fixture
def stream(page: Page) -> Stream:
    return Stream(page)


def opened(page: Page, daemon: Daemon, publisher: Publisher, rest: str = "") -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    page.goto(f"http://127.0.0.1:{daemon.port}/{rest}")
    expect(page.get_by_role("article")).to_contain_text("20")
    page.evaluate("window.same = true")


def test_stale_values_are_greyed(page: Page, stream: Stream, daemon: Daemon, publisher: Publisher) -> None:
    opened(page, daemon, publisher)
    row = page.get_by_role("article").get_by_role("listitem")
    stream.say(type="stale", topic="home/kitchen", age=90, stale_after=30)
    expect(row).to_have_class("stale")
    page.get_by_label("Only stale or offline").check()
    expect(page.get_by_role("article")).to_have_count(1)
    publisher.publish("home/kitchen", {"temperature": 21})
    expect(page.get_by_role("article")).to_have_count(0)


def test_an_age_is_told_once_where_it_is_the_same(
    page: Page, stream: Stream, daemon: Daemon, publisher: Publisher
) -> None:
    for quantity in ("temperature", "humidity"):
        publisher.publish(f"home/kitchen/{quantity}", "20.5")
    page.goto(f"http://127.0.0.1:{daemon.port}/")
    card = page.get_by_role("article")
    expect(card.get_by_role("listitem")).to_have_count(2)
    own = card.locator(".label .age")
    expect(own).to_have_text(["", ""])
    stream.say(type="stale", topic="home/kitchen/humidity", age=90, stale_after=30)
    expect(own).to_have_text([re.compile(r"now|\d+ s"), ""])
    stream.say(type="stale", topic="home/kitchen/temperature", age=90, stale_after=30)
    expect(own).to_have_text(["", ""])
    expect(page.locator("article[data-stale] .head .age")).to_have_text(re.compile(r"now|\d+ s ago"))


def test_a_device_that_is_gone(page: Page, stream: Stream, daemon: Daemon, publisher: Publisher) -> None:
    opened(page, daemon, publisher)
    device = page.get_by_role("article").get_by_role("heading").get_attribute("title")
    stream.say(type="device", device=device, state="offline", since=1_700_000_000)
    expect(page.get_by_role("article")).to_contain_text("offline since")
    stream.say(type="device", device=device, state="online", since=1_700_000_100)
    expect(page.get_by_role("article")).not_to_contain_text("offline")


def test_losses_and_a_slow_link_are_told(page: Page, stream: Stream, daemon: Daemon, publisher: Publisher) -> None:
    opened(page, daemon, publisher)
    banner = page.locator(".banner.info")
    asked_for = {"from": 5, "to": 9, "count": 5, "topics": {"home/kitchen": 5}, "reason": "interval"}
    stream.say(type="gap", **asked_for)
    stream.say(type="rate", interval=2, reason="the link is slow")
    expect(banner).to_have_text("This connection is slow: values come every 2 s (the link is slow).")
    stream.say(type="gap", **{**asked_for, "reason": "slow-consumer"})
    expect(banner.last).to_have_text(re.compile("^5 values of the last minute did not reach this page"))
    stream.say(type="rate", interval=0, reason="")
    expect(banner).to_have_count(1)


@pytest.mark.parametrize(
    ("code", "said", "comes_back"),
    [(4403, "refused this page", False), (1009, "refused this page", False), (4408, "", True), (4413, "", True)],
)
def test_close_codes(
    page: Page, stream: Stream, daemon: Daemon, publisher: Publisher, code: int, said: str, comes_back: bool
) -> None:
    opened(page, daemon, publisher)
    stream.end(code, "because")
    if comes_back:
        publisher.publish("home/kitchen", {"temperature": 22})
        expect(page.get_by_role("article")).to_contain_text("22")
        expect(page.locator(".banner.bad")).to_have_count(0)
    else:
        expect(page.locator(".banner.bad")).to_contain_text(f"{said}: because ({code})")
        page.get_by_role("button", name="Try now").click()
        expect(page.locator(".banner.bad")).to_have_count(0)
    assert page.evaluate("window.same")


def upgraded(event: dict[str, Any]) -> None:
    if event["type"] == "welcome":
        event["build"] = "99.0.0"


def test_after_an_upgrade_a_page_asks_to_be_reloaded(
    page: Page, stream: Stream, daemon: Daemon, publisher: Publisher
) -> None:
    opened(page, daemon, publisher)
    stream.change = upgraded
    stream.end(4408)
    expect(page.locator(".banner.info")).to_contain_text("The gateway was upgraded")
    assert page.evaluate("window.same")


def test_after_an_upgrade_a_wall_reloads_itself(
    page: Page, stream: Stream, daemon: Daemon, publisher: Publisher
) -> None:
    opened(page, daemon, publisher, "?view=wall&every=0")
    stream.change = upgraded
    with page.expect_event("load"):
        stream.end(4408)
    assert page.evaluate("window.same === undefined")
    expect(page.get_by_role("article")).to_contain_text("20")
