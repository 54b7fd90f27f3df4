"""Signing in to the page: by hand, by a link, and again when a token ends."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nodepackages import installed
from support.publisher import Publisher

from gateway.edge.tokens import Tokens

pytestmark = pytest.mark.slow

CONFIG = """
[[upstream]]
name = "test"
urls = ["BROKER"]

[auth]
anonymous = ""
tokens_file = "FOLDER/tokens.json"

[[role]]
name = "operator"
subscribe = ["#"]
rights = ["gateway"]

[[role]]
name = "nobody"
subscribe = []
"""


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Tokens by the name of whom they were made for; that of `short` ends seven seconds from now."""
    file = Tokens(tmp_path / "tokens.json")
    made = {}
    for name, role in (("ann", "viewer"), ("bob", "operator"), ("no", "nobody"), ("short", "viewer")):
        now = time.time()
        made[name] = file.new(name, role, now=now, expires=now + 7 if name == "short" else None)
    return made


@pytest.fixture
def daemon(
    tokens: dict[str, str],
    mosquitto: Mosquitto,
    gateway: Callable[[str], Daemon],
    publisher: Publisher,
    tmp_path: Path,
) -> Daemon:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    return gateway(CONFIG.replace("BROKER", mosquitto.url).replace("FOLDER", str(tmp_path)))


def address(daemon: Daemon, rest: str = "") -> str:
    return f"http://127.0.0.1:{daemon.port}/{rest}"


def test_by_hand(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    good = tokens["ann"]
    page.goto(address(daemon))
    field = page.get_by_label("Token")
    expect(field).to_be_visible()
    field.fill("gw_wrong_wrong")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("token")
    field.fill(good)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
    page.reload()
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
    assert page.evaluate("localStorage.length") == 0, "only for the tab, unless asked"


def test_the_form_is_open_to_everybody(page: Page, daemon: Daemon) -> None:
    axe = installed(Path(__file__).parents[1] / "client") / "axe-core" / "axe.min.js"
    page.goto(address(daemon))
    expect(page.get_by_label("Token")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_hidden()
    # As a world of the browser's own: the page's policy would keep the checker out.
    page.evaluate(axe.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []


def test_remembered_on_the_device(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    good = tokens["ann"]
    page.goto(address(daemon))
    page.get_by_label("Token").fill(good)
    page.get_by_label("Remember on this device").check()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("article")).to_be_visible()
    other = page.context.new_page()
    other.goto(address(daemon))
    expect(other.get_by_role("article")).to_be_visible()


def test_by_a_link_that_leaves_no_trace(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    good = tokens["ann"]
    page.goto(address(daemon, f"?view=wall&every=0#token={good}"))
    expect(page.get_by_role("article")).to_be_visible()
    assert good not in page.url
    assert "view=wall" in page.url


def test_a_link_with_a_slip_in_it_is_a_wrong_token(page: Page, daemon: Daemon) -> None:
    """A % that begins nothing ended the script, and what had been given stayed in the address."""
    page.goto(address(daemon, "#token=gw_a%zz"))
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "zz" not in page.url


def test_an_expired_token_is_renewed_without_a_reload(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    page.goto(address(daemon, f"#token={tokens['short']}"))
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
    page.evaluate("window.same = true")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=30000)
    expect(page.get_by_role("alert")).to_contain_text("expired")
    page.get_by_label("Token").fill(tokens["ann"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
    assert page.evaluate("window.same"), "the page was reloaded"


def test_a_role_that_sees_nothing_is_told_so(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    page.goto(address(daemon, f"#token={tokens['no']}"))
    expect(page.locator(".banner.warn")).to_contain_text("nobody")


def test_the_gateway_view_is_for_roles_with_the_right(page: Page, daemon: Daemon, tokens: dict[str, str]) -> None:
    page.goto(address(daemon, f"#token={tokens['ann']}"))
    expect(page.get_by_role("article")).to_be_visible()
    page.get_by_role("link", name="Gateway", exact=True).click()
    expect(page.get_by_role("region", name="More")).to_contain_text("right “gateway”")
    page.goto("about:blank")
    page.goto(address(daemon, f"#token={tokens['bob']}"))
    expect(page.get_by_role("article")).to_be_visible()
    page.get_by_role("link", name="Gateway", exact=True).click()
    expect(page.get_by_role("region", name="Clients")).to_contain_text("bob")


def test_the_gateway_view_tells_of_clients_memory_history_and_refused_origins(
    page: Page, daemon: Daemon, tokens: dict[str, str], publisher: Publisher
) -> None:
    request = urllib.request.Request(address(daemon, "api/topics"), headers={"Origin": "https://panel.example"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)
    page.goto(address(daemon, f"#token={tokens['bob']}"))
    expect(page.get_by_role("article")).to_be_visible()
    page.get_by_role("link", name="Gateway", exact=True).click()
    clients = page.get_by_role("region", name="Clients")
    with publisher.rhythm(20, lambda number: ("home/kitchen", {"temperature": number})):
        expect(clients.get_by_role("row")).to_contain_text(
            ["Queue", re.compile(r"bob.*operator.*127\.0\.0\.1.*#.*empty.*[\d.]+ (KiB|B)/s.*[\d.]+ ms.*none")]
        )
    memory = page.get_by_role("region", name="Memory")
    expect(memory).to_contain_text(re.compile(r"\d+ MiB in RAM, of a budget of \d+ MiB"))
    expect(memory.get_by_role("row").filter(has_text="Last values")).to_contain_text(re.compile(r"B of \d+ MiB"))
    expect(page.get_by_role("region", name="History")).to_contain_text(re.compile(r"\d+ messages?, of the last 10 min"))
    origins = page.get_by_role("region", name="Refused origins")
    expect(origins).to_contain_text('[origins] allow = ["https://panel.example"]')
    expect(page.get_by_role("region", name="Brokers")).to_contain_text("mqtt://")
    # The figures above them: two looks make a rate.
    expect(page.locator(".tiles")).to_contain_text(re.compile(r"Messages in[1-9]\d*a second"))


def test_who_may_not_see_it_is_not_asked_for_again_and_again(
    page: Page, daemon: Daemon, tokens: dict[str, str]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/clients" in request.url else None)
    page.clock.install()
    page.goto(address(daemon, f"#token={tokens['ann']}"))
    page.get_by_role("link", name="Gateway", exact=True).click()
    expect(page.get_by_role("region", name="More")).to_contain_text("right “gateway”")
    page.clock.run_for(30000)
    expect(page.get_by_role("region", name="More")).to_contain_text('rights = ["gateway"]')
    assert len(asked) == 1
