"""Keyboard and screen reader: axe-core finds nothing serious in any view."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nodepackages import installed
from support.publisher import Publisher

pytestmark = pytest.mark.slow

VIEWS = (
    "#/overview",
    "#/overview?by=quantity",
    "#/topics",
    "#/topics?topic=home/kitchen",
    "#/gateway",
    "?view=wall&every=0",
    "chart",
)
SEES_ALL = '[[role]]\nname = "viewer"\nsubscribe = ["#"]\nrights = ["gateway"]\n'


@pytest.fixture
def daemon(mosquitto: Mosquitto, gateway: Callable[[str], Daemon]) -> Daemon:
    """One that hides nothing from whoever looks."""
    daemon = gateway(f'[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\n{SEES_ALL}')
    daemon.await_broker()
    return daemon


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, daemon: Daemon, publisher: Publisher, scheme: str) -> None:
    axe = installed(Path(__file__).parents[1] / "client") / "axe-core" / "axe.min.js"
    publisher.publish("home/kitchen", {"temperature": 20, "motion": True}, retain=True)
    publisher.publish("home/cellar", "12.5", retain=True)
    # The page's own policy would keep the checker out.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        for view in VIEWS:
            page.goto("about:blank")
            page.goto(f"http://127.0.0.1:{daemon.port}/{view if view != 'chart' else ''}")
            if view == "chart":
                page.get_by_role("link", name="Temperature").click()
                expect(page.locator(".plot canvas")).to_be_visible()
            elif view == "#/gateway":
                expect(page.get_by_role("region", name="Memory")).to_be_visible()
            expect(page.locator("article, tbody tr, .panel").first).to_be_visible()
            page.add_script_tag(path=axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            serious = [
                f"{view}: {one['id']}: {one['help']}: {one['nodes'][0]['html']}"
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == []
    finally:
        context.close()


def test_everything_by_keyboard(browser: Browser, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{daemon.port}/")
        expect(page.get_by_role("article")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the values")).to_be_focused()
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('article a')"):
                break
        page.keyboard.press("Enter")
        plot = page.get_by_label("Chart; its numbers are in the table below")
        plot.focus()
        page.keyboard.press("+")
        expect(page.get_by_role("button", name="Back to now")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Back to now")).to_be_hidden()
    finally:
        context.close()
