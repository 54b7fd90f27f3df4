"""The page on bad networks and behind proxies."""

import os
import re
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.daemon import Daemon
from support.faultproxy import FaultProxy
from support.leftovers import children
from support.publisher import Publisher


def test_behind_a_prefix(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    with FaultProxy(daemon.port, prefix="/tools/gateway") as proxy:
        outside: list[str] = []
        base = f"http://127.0.0.1:{proxy.port}/tools/gateway/"
        page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(base) else None)
        page.goto(base)
        expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
        page.get_by_role("link", name="Temperature").click()
        expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("20")
        page.get_by_role("link", name="Gateway", exact=True).click()
        expect(page.get_by_role("region", name="This page")).to_contain_text("WebSocket")
        assert outside == []
        page.close()


def test_websocket_blocked(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    with FaultProxy(daemon.port, block_upgrades=True) as proxy:
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
        expect(page.locator(".banner.info")).to_contain_text("Server-Sent Events")
        publisher.publish("home/kitchen", {"temperature": 21})
        expect(page.get_by_role("link", name="Temperature")).to_contain_text("21")
        page.get_by_role("link", name="Temperature").click()
        publisher.publish("home/kitchen", {"temperature": 22})
        expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("22")
        page.close()


def values_in(page: Page, tmp_path: Path) -> list[float]:
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    file = tmp_path / "chart.csv"
    download.value.save_as(file)
    return [float(line.split(",")[3]) for line in file.read_text("utf-8-sig").splitlines()[1:]]


def no_hole(values: list[float]) -> None:
    """Numbers that rose by ten a second, in slots of a second: no slot may be missing."""
    steps = [after - before for before, after in pairwise(values)]
    # The first slots hold what was stored, the last one is still being filled.
    assert max(steps) <= 22, f"{values}"
    assert min(steps) >= 0, f"{values}"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_wifi_off_and_on(page: Page, daemon: Daemon, publisher: Publisher, tmp_path: Path) -> None:
    with (
        FaultProxy(daemon.port) as proxy,
        publisher.rhythm(10, lambda number: ("home/kitchen", {"count": number})),
    ):
        page.goto(f"http://127.0.0.1:{proxy.port}/")
        page.get_by_role("link", name="Count").click()
        page.wait_for_selector(".plot canvas")
        time.sleep(5)
        proxy.swallowing = True
        # Heartbeat 20 s: silence is noticed, asked about, and believed.
        expect(page.locator(".banner.bad")).to_contain_text("No connection to the gateway", timeout=40000)
        proxy.swallowing = False
        expect(page.locator(".banner.bad")).to_have_count(0, timeout=40000)
        time.sleep(3)
        no_hole(values_in(page, tmp_path))
        page.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_tab_that_slept_a_minute_has_everything(
    browser: Browser, daemon: Daemon, publisher: Publisher, tmp_path: Path
) -> None:
    before = set(descendants())
    context = browser.new_context()
    page = context.new_page()
    try:
        with publisher.rhythm(10, lambda number: ("home/kitchen", {"count": number})):
            page.goto(f"http://127.0.0.1:{daemon.port}/")
            page.get_by_role("link", name="Count").click()
            page.wait_for_selector(".plot canvas")
            renderers = [pid for pid in set(descendants()) - before if "--type=renderer" in command_line(pid)]
            assert renderers, "the tab has no process of its own"
            for pid in renderers:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(60)
            for pid in renderers:
                os.kill(pid, signal.SIGCONT)
            expect(page.locator(".status")).to_have_text(re.compile("Live"), timeout=20000)
            time.sleep(3)
            no_hole(values_in(page, tmp_path))
    finally:
        context.close()


def descendants(pid: int | str = "self") -> list[int]:
    """All processes below one."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
