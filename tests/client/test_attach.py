"""The snippets of docs/attach.md, run as they stand."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.browser import chromium
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher

from gateway.edge.static import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "attach.md").read_text("utf-8")


def snippet(heading: str, language: str) -> str:
    """The first block of a language below a heading."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def daemon(mosquitto: Mosquitto, gateway: Callable[[str], Daemon]) -> Daemon:
    upstream = f'[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\n'
    return gateway(f'{upstream}\n[origins]\nallow = ["http://localhost:*"]\n')


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[Publisher]:
    with Publisher(mosquitto.port) as publisher:
        publisher.publish("sensors/a", {"temperature": 20.5}, retain=True)
        yield publisher


@contextmanager
def website(folder: Path) -> Iterator[str]:
    """A web server of another origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_three_lines_on_a_page_of_another_origin(daemon: Daemon, publisher: Publisher, tmp_path: Path) -> None:
    page_text = snippet("Three lines on a page", "html").replace("127.0.0.1:8880", f"127.0.0.1:{daemon.port}")
    (tmp_path / "index.html").write_text(page_text)
    with website(tmp_path) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("document.querySelector('#out').textContent === 'sensors/a {\"temperature\":20.5}'")


def test_node(node: str, daemon: Daemon, publisher: Publisher, tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "sensor-gateway-client"
    (package / "built").mkdir(parents=True)
    shutil.copy(ROOT / "gateway" / "dashboard" / "package.json", package)
    (package / "built" / "client.js").write_bytes(load()["/client.js"].content)
    (tmp_path / "node_modules" / "ws").symlink_to(Path(__file__).parent / "node_modules" / "ws")
    script = tmp_path / "script.mjs"
    script.write_text(snippet("Node", "js").replace("127.0.0.1:8880", f"127.0.0.1:{daemon.port}"))
    with subprocess.Popen([node, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == 'sensors/a {"temperature":20.5}\n'
        finally:
            process.kill()


def test_curl(daemon: Daemon, publisher: Publisher) -> None:
    command = snippet("curl and everything that speaks HTTP", "sh").replace(
        "127.0.0.1:8880", f"127.0.0.1:{daemon.port}"
    )
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(b"data:") and b'"topic":"sensors/a"' in line:
                    assert b'"temperature":20.5' in line or b'"temperature": 20.5' in line
                    return
            raise AssertionError("the stream ended without a message")
        finally:
            process.kill()


def test_every_option_that_the_page_names_exists() -> None:
    client = load()["/client.js"].content.decode()
    block = snippet("What `connect` gives", "js")
    for name in re.findall(r"^\s*(?:await )?(?:\{ series \} = await )?gateway\.(\w+)\(", block, re.MULTILINE):
        assert re.search(rf"^  (?:async )?{name}\(", client, re.MULTILINE), name
    for name in re.findall(r"^  (\w+)[:,]", block, re.MULTILINE):
        assert f"[{name}]" in client, name
