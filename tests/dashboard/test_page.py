"""The page as a person meets it: values, charts, search, and what it says when something is wrong."""

import csv
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher


def address(daemon: Daemon, rest: str = "") -> str:
    return f"http://127.0.0.1:{daemon.port}/{rest}"


def test_first_values_within_two_seconds(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("site/boiler/state", {"temperature": 61.5, "running": True}, retain=True)
    started = time.monotonic()
    page.goto(address(daemon))
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("61.5", timeout=2000)
    assert time.monotonic() - started < 2
    publisher.publish("site/boiler/state", {"temperature": 62.25, "running": False})
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("62.25")
    expect(page.get_by_role("link", name="Running")).to_contain_text("off")


@pytest.mark.slow
def test_names_and_areas_may_come_later_than_values(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    held: list[Route] = []
    page.route("**/api/devices", lambda route: held.append(route))
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    with page.expect_request("**/api/devices"):
        page.goto(address(daemon))
    card = page.get_by_role("article")
    expect(card.get_by_role("heading")).to_have_text("home/kitchen")
    facts = {"device": card.get_by_role("heading").get_attribute("title"), "name": "Oven", "area": "House"}
    held[0].fulfill(json={"devices": [facts]})
    expect(card.get_by_role("heading")).to_have_text("Oven")
    expect(page.get_by_role("region", name="House")).to_be_visible()


@pytest.mark.slow
def test_a_device_that_comes_later_gets_its_name_without_a_reload(
    page: Page, daemon: Daemon, publisher: Publisher
) -> None:
    """A wall that hangs for months called every device that had come since by its id."""
    facts = [{"device": "home/kitchen", "name": "Oven", "area": "House"}]
    page.route("**/api/devices", lambda route: route.fulfill(json={"devices": facts}))
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    page.goto(address(daemon))
    expect(page.get_by_role("heading", name="Oven")).to_be_visible()
    facts.append({"device": "home/porch", "name": "Lantern", "area": "House"})
    publisher.publish("home/porch", {"temperature": 5})
    expect(page.get_by_role("heading", name="Lantern")).to_be_visible(timeout=45000)


def test_payloads_are_text_and_never_markup(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    hostile = '<img src=x onerror="document.title=1">'
    publisher.publish(f"a/{hostile}", hostile, retain=True)
    publisher.publish("a/number", {hostile: 1, "unit": hostile}, retain=True)
    page.goto(address(daemon, "#/topics"))
    cell = page.get_by_role("row").filter(has_text="a/<img").locator("td.value")
    expect(cell).to_have_text(hostile)
    page.goto(address(daemon, "#/overview"))
    expect(page.get_by_role("article")).to_be_visible()
    assert page.locator("main img").count() == 0


def test_levels_stay_in_their_order_though_they_be_written_from_right_to_left(
    page: Page, daemon: Daemon, publisher: Publisher
) -> None:
    """The browser turned two such levels around with the slash between them: the topic shown was another one."""
    publisher.publish("house/عربي/مطبخ/temperature", 20, retain=True)
    page.goto(address(daemon, "#/topics"))
    levels = page.get_by_role("rowheader").locator("bdi")
    expect(levels).to_have_text(["عربي", "مطبخ"])
    first, second = (level.bounding_box() for level in levels.all())
    assert first is not None
    assert second is not None
    assert first["x"] + first["width"] <= second["x"]
    expect(page.get_by_role("rowheader").get_by_role("link")).to_have_text("house/عربي/مطبخ/temperature")


def test_a_long_unit_leaves_room_for_what_it_is_the_unit_of(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/hall", {"temperature": {"value": 20, "unit": "x" * 60}}, retain=True)
    page.goto(address(daemon))
    unit = page.locator(".unit", has_text="xxxx").first
    expect(unit).to_be_visible()
    row = page.get_by_role("listitem").filter(has=unit)
    for part, least in ((row.locator(".label"), 60), (row.locator("b"), 15)):
        box = part.bounding_box()
        assert box is not None
        assert box["width"] >= least


def test_search_and_filters_live_in_the_address(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    for room in ("kitchen", "cellar"):
        publisher.publish(f"home/{room}", {"temperature": 20.5, "humidity": 50}, retain=True)
    page.goto(address(daemon))
    expect(page.get_by_role("article")).to_have_count(2)
    page.get_by_role("searchbox").fill("cellar temp")
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.locator(".count").first).to_have_text("1 device · 1 reading")
    page.get_by_role("button", name="By quantity").click()
    expect(page.get_by_role("heading", name="Temperature")).to_be_visible()
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    expect(page.get_by_role("article")).to_have_count(1)
    expect(page.get_by_role("searchbox")).to_have_value("cellar temp")
    expect(page.get_by_role("button", name="By quantity")).to_have_attribute("aria-pressed", "true")


def test_a_topic_under_the_glass(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    for value in (1, 2, 3):
        publisher.publish("plant/pump", {"power": {"value": value, "unit": "kW"}})
    publisher.publish("plant/raw", b"\x00\xffdata")
    page.goto(address(daemon, "#/topics"))
    page.get_by_role("link", name="plant/pump").click()
    glass = page.get_by_role("complementary", name="Topic plant/pump")
    expect(glass.locator("pre")).to_contain_text('"unit": "kW"')
    expect(glass.get_by_role("listitem").filter(has_text="Power")).to_contain_text("3 kW")
    expect(glass.locator(".earlier li")).to_have_count(2)
    page.get_by_role("link", name="plant/raw").click()
    expect(page.get_by_role("complementary").locator("pre")).to_contain_text("00 ff 64 61 74 61")
    page.get_by_role("link", name="Close").click()
    expect(page.get_by_role("complementary")).to_have_count(0)


def saved_values(page: Page, folder: Path) -> list[float]:
    """The last values in the chart's CSV, in order of time."""
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    file = folder / "chart.csv"
    download.value.save_as(file)
    rows = list(csv.reader(io.StringIO(file.read_text("utf-8-sig"))))
    assert rows[0][0] == "time"
    return [float(row[3]) for row in rows[1:]]


def test_a_chart_of_two_readings(page: Page, daemon: Daemon, publisher: Publisher, tmp_path: Path) -> None:
    for value in (20, 21, 22):
        publisher.publish("home/kitchen", {"temperature": value, "humidity": 50 + value})
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").press("Enter")
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("22")
    # What came before the page was opened is part of the chart.
    expect(page.get_by_role("row").filter(has_text="Temperature").get_by_role("cell").nth(1)).to_have_text("20")
    assert page.locator(".plot canvas").count() == 1
    page.get_by_label("Add a reading to the chart").fill("home/kitchen: Humidity")
    page.get_by_label("Add a reading to the chart").press("Enter")
    expect(page.get_by_role("row").filter(has_text="Humidity")).to_contain_text("72")
    publisher.publish("home/kitchen", {"temperature": 30, "humidity": 80})
    expect(page.get_by_role("row").filter(has_text="Temperature").get_by_role("cell").nth(3)).to_have_text("30")
    assert saved_values(page, tmp_path)[-1] == 30


def test_a_value_that_came_once_is_seen_in_its_chart(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    """No line leads from one value to none: the chart of a reading that was opened early was empty."""
    publisher.publish("home/kitchen", {"temperature": 20})
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").press("Enter")
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("20")
    drawn = """() => {
        const colour = getComputedStyle(document.querySelector("tbody .swatch")).color.match(/\\d+/g).map(Number);
        const canvas = document.querySelector(".plot canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] > 200 && colour.every((part, index) => Math.abs(part - data[at + index]) < 8)) return true;
        return false;
    }"""
    page.wait_for_function(drawn)


@pytest.mark.slow
def test_the_part_looked_at_is_shared_by_the_address(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20})
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").press("Enter")
    back = page.get_by_role("button", name="Back to now")
    plot = page.locator(".u-over")
    plot.hover()
    page.mouse.wheel(0, -400)
    expect(back).to_be_visible()
    page.get_by_role("button", name="Earlier").click()
    page.wait_for_url(re.compile("from=.*to="))
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    expect(back).to_be_visible()
    assert page.url == shared
    back.click()
    expect(back).to_be_hidden()
    page.wait_for_url(lambda url: "from=" not in url)
    # A drag over the plot looks closer, too.
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(back).to_be_visible()
    page.mouse.dblclick(box["x"] + 200, box["y"] + 50)
    expect(back).to_be_hidden()


@pytest.mark.slow
def test_fingers_spread_a_chart_and_drag_it_along(browser: Browser, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    try:
        page = context.new_page()
        page.goto(address(daemon))
        page.get_by_role("link", name="Temperature").click()
        box = page.locator(".u-over").bounding_box()
        assert box is not None
        session = context.new_cdp_session(page)
        middle = box["x"] + box["width"] / 2

        def fingers(kind: str, *places: float) -> None:
            points = [{"x": middle + place, "y": box["y"] + 60, "id": at} for at, place in enumerate(places)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        def seen() -> tuple[float, float]:
            page.wait_for_url(re.compile("from="))
            found = parse_qs(page.url.partition("?")[2])
            return float(found["from"][0]), float(found["to"][0])

        fingers("touchStart", -20, 20)
        for step in range(30, 70, 10):
            fingers("touchMove", -step, step)
        fingers("touchEnd")
        expect(page.get_by_role("button", name="Back to now")).to_be_visible()
        before = seen()
        # Three times as far apart: a third of the quarter of an hour.
        assert before[1] - before[0] == pytest.approx(300, abs=30)
        fingers("touchStart", 0)
        for step in range(10, 60, 10):
            fingers("touchMove", step)
        fingers("touchEnd")
        page.wait_for_url(lambda url: f"from={before[0]}" not in url)
        after = seen()
        assert after[0] < before[0] - 10, "dragged to the right, what was before comes into sight"
        assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=1)
    finally:
        context.close()


@pytest.mark.slow
def test_ranges_that_are_not_stored_name_the_key_that_lengthens_them(
    page: Page, mosquitto: Mosquitto, gateway: Callable[[str], Daemon], publisher: Publisher
) -> None:
    daemon = gateway(f'[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\n[history]\nage = "2h"\n')
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").click()
    for name, stored in (("15 min", True), ("1 h", True), ("6 h", True), ("24 h", False)):
        expect(page.get_by_role("button", name=name)).to_be_enabled(enabled=stored)
    words = "24 h: only the last 2 h are stored here. [history] age lengthens that"
    expect(page.locator(".note")).to_contain_text(words)
    expect(page.get_by_role("group", name="Range")).to_have_accessible_description(re.compile(re.escape(words)))


@pytest.mark.slow
def test_the_pointer_is_answered_in_words(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 21.25})
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").press("Enter")
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("21.25")
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    tip = page.locator(".tip")
    # Nothing newer has been said: that is what holds now. Where nothing had been said yet there is nothing to say.
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
    expect(tip).to_contain_text("21.25")
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("21.25")
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    expect(tip).to_be_hidden()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 40)
    expect(tip).to_be_visible()
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


@pytest.mark.slow
def test_broker_gone_and_back(
    page: Page, daemon: Daemon, mosquitto: Mosquitto, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.publish("home/kitchen", {"temperature": 20})
    page.goto(address(daemon))
    page.get_by_role("link", name="Temperature").click()
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("20")
    page.evaluate("window.same = true")
    mosquitto.kill()
    banner = page.locator(".banner.bad")
    expect(banner).to_contain_text(re.compile(r"The broker is (gone|being connected to).* since \d\d:\d\d"))
    expect(page.locator(".status")).to_contain_text("No broker")
    mosquitto.start()
    expect(banner).to_have_count(0)
    expect(page.locator(".status")).to_contain_text("Live")
    with Publisher(mosquitto.port) as again:
        for value in range(21, 31):
            again.publish("home/kitchen", {"temperature": value})
            time.sleep(1.05)  # a slot of this chart is a second wide: each value gets its own
    expect(page.get_by_role("row").filter(has_text="Temperature")).to_contain_text("30")
    assert saved_values(page, tmp_path) == list(map(float, range(20, 31)))
    expect(page.locator(".note")).to_contain_text(
        "Shaded: values are missing, since the gateway was without its broker"
    )
    assert page.evaluate("window.same"), "the page was reloaded"


def test_gateway_gone_and_back(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    page.goto(address(daemon))
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("20")
    page.evaluate("window.same = true")
    daemon.kill()
    expect(page.locator(".banner.bad")).to_contain_text("No connection to the gateway")
    daemon.start()
    expect(page.locator(".banner.bad")).to_have_count(0, timeout=15000)
    publisher.publish("home/kitchen", {"temperature": 23})
    expect(page.get_by_role("link", name="Temperature")).to_contain_text("23")
    assert page.evaluate("window.same"), "the page was reloaded"


@pytest.mark.slow
def test_a_wall_turns_its_pages(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    for number in range(40):
        publisher.publish(f"hall/device-{number}", {"temperature": number, "humidity": 1, "power": 2}, retain=True)
    page.goto(address(daemon, "?view=wall&every=1s"))
    expect(page.get_by_role("article")).to_have_count(40)
    expect(page.get_by_role("searchbox")).to_be_hidden()
    first = page.locator(".sections")
    expect(first).to_have_attribute("data-page", re.compile(r"^2 / [2-9]"), timeout=10000)
    expect(first).to_have_attribute("data-page", re.compile(r"^1 / [2-9]"), timeout=10000)
    expect(page.locator("header .paging")).to_have_text(re.compile(r"^\d / [2-9]$"))
    expect(page.locator("header .clock")).to_have_text(re.compile(r"^\d\d:\d\d$"))


def test_a_wall_keeps_the_screen_awake(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    page.add_init_script("""
        window.lock = { released: false, release() {} };
        let locks = 0;
        const request = (kind) => {
          window.lock.released = false;
          document.documentElement.dataset.locks = `${kind} ${++locks}`;
          return Promise.resolve(window.lock);
        };
        Object.defineProperty(navigator, "wakeLock", { value: { request } });
    """)
    publisher.publish("home/kitchen", {"temperature": 20}, retain=True)
    root = page.locator(":root")
    page.goto(address(daemon))
    expect(page.get_by_role("article")).to_be_visible()
    assert root.get_attribute("data-locks") is None
    page.goto("about:blank")
    page.goto(address(daemon, "?view=wall&every=30s"))
    expect(root).to_have_attribute("data-locks", "screen 1")
    # A browser takes it back whenever the page was hidden.
    page.evaluate("window.lock.released = true")
    expect(root).to_have_attribute("data-locks", "screen 2")


def test_the_phone_scrolls_one_way_only(page: Page, daemon: Daemon, publisher: Publisher) -> None:
    publisher.publish("application/17c82e96-be03-4f38-aef3-f83d48582d97/device/a84041/event/up", {"temperature": 1})
    page.set_viewport_size({"width": 360, "height": 740})
    for view in ("overview", "topics", "gateway"):
        page.goto(address(daemon, f"#/{view}"))
        page.wait_for_selector("article, tbody tr, .panel")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{view} is {wide} wide"
