"""A real browser for the page: Debian's Chromium, driven by Playwright."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from support.browser import chromium
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def charts() -> None:
    """The chart library, built in now where npm was not there yet when the project was installed."""
    run = subprocess.run([sys.executable, "hatch_build.py"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one for a module: as long as it is there, Playwright's loop runs, and tests of asyncio cannot."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile of the test's own."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; a script error or a breach of the content security policy in it fails the test."""
    page = context.new_page()
    page.set_default_timeout(10000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield page
    assert errors == []


@pytest.fixture
def daemon(mosquitto: Mosquitto, gateway: Callable[[str], Daemon]) -> Daemon:
    """The gateway behind the test's own broker, which it follows already."""
    daemon = gateway(
        f'[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\nbackoff = {{ min = "0.5s", max = "1s" }}\n'
    )
    daemon.await_broker()
    return daemon


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[Publisher]:
    """Publishes to the test's own broker."""
    with Publisher(mosquitto.port) as publisher:
        yield publisher
