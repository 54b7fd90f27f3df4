"""The snippets of docs/attach.md, run as they stand."""

import json
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
MODULES = Path(__file__).parent / "node_modules"
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
    return gateway(f"{upstream}\n{snippet('Three lines on a page', 'toml')}")


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


def project(folder: Path, *packages: str) -> None:
    """Makes `folder` one where the client was installed from npm, beside `packages` of this test's own."""
    package = folder / "node_modules" / "sensor-gateway-client"
    (package / "built").mkdir(parents=True)
    shutil.copy(ROOT / "gateway" / "dashboard" / "package.json", package)
    (package / "built" / "client.js").write_bytes(load()["/client.js"].content)
    for name in packages:
        (folder / "node_modules" / name).symlink_to(MODULES / name)


def first_line(*command: str) -> str:
    """What a program that does not end says first."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            return process.stdout.readline()
        finally:
            process.kill()


def test_node(node: str, daemon: Daemon, publisher: Publisher, tmp_path: Path) -> None:
    project(tmp_path, "ws")
    script = tmp_path / "script.mjs"
    script.write_text(snippet("Node", "js").replace("127.0.0.1:8880", f"127.0.0.1:{daemon.port}"))
    assert first_line(node, str(script)) == 'sensors/a {"temperature":20.5}\n'


def test_node_that_has_websocket(
    node_with_websocket: str, daemon: Daemon, publisher: Publisher, tmp_path: Path
) -> None:
    project(tmp_path)
    told = snippet("Node", "js").replace("127.0.0.1:8880", f"127.0.0.1:{daemon.port}")
    import_line, rest = told.split("\n", 1)
    assert "not needed from Node 22 on" in import_line
    script = tmp_path / "script.mjs"
    script.write_text(rest.replace(", { WebSocket }", ""))
    assert first_line(node_with_websocket, str(script)) == 'sensors/a {"temperature":20.5}\n'


REACT = """
import { Window } from "happy-dom";
const { window } = { window: new Window({ url: "http://127.0.0.1:DAEMON/" }) };
Object.assign(globalThis, { window, document: window.document });
const { createElement: h, StrictMode } = await import("react");
const { createRoot } = await import("react-dom/client");
const { GatewayProvider, useTopic } = await import("./snippet.js");
function Value() {
  const message = useTopic("sensors/#");
  return message === null ? "nothing yet" : `${message.topic} ${JSON.stringify(message.data)}`;
}
const main = document.createElement("main");
const url = "http://127.0.0.1:DAEMON";
const root = createRoot(main);
const page = (leaf) => h(StrictMode, null, h(GatewayProvider, { url }, leaf));
root.render(page(h(Value)));
const clients = async () => (await (await fetch(`${url}/api/clients`)).json()).clients;
const until = async (wanted) => {
  while (!(await wanted())) await new Promise((resolve) => setTimeout(resolve, 20));
};
await until(() => main.textContent.startsWith("sensors/a"));
const mounted = await clients();
root.render(page(null));
await until(async () => (await clients())[0]?.subscriptions.length === 0);
root.unmount();
await until(async () => (await clients()).length === 0);
const asked = mounted.map(({ subscriptions, commands }) => [subscriptions, commands]);
console.log(JSON.stringify([main.textContent, asked]));
"""


def test_react_in_strict_mode(
    node_with_websocket: str,
    mosquitto: Mosquitto,
    gateway: Callable[[str], Daemon],
    publisher: Publisher,
    tmp_path: Path,
) -> None:
    """StrictMode mounts twice: there is one connection all the same, and one subscribe on it; and all is given back."""
    role = '[[role]]\nname = "viewer"\nsubscribe = ["#"]\nrights = ["gateway"]\n'
    daemon = gateway(f'[[upstream]]\nname = "test"\nurls = ["{mosquitto.url}"]\n{role}')
    project(tmp_path, "react", "react-dom", "scheduler", "happy-dom", "entities", "whatwg-mimetype", "ws")
    (tmp_path / "snippet.jsx").write_text(snippet("React", "jsx"))
    options = ("--allowJs", "--noCheck", "--jsx", "react-jsx", "--target", "es2022", "--module", "es2022")
    tsc = [str(MODULES / ".bin" / "tsc"), *options, "--outDir", ".", "snippet.jsx"]
    run = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "page.js").write_text(REACT.replace("DAEMON", str(daemon.port)))
    assert json.loads(first_line(node_with_websocket, str(tmp_path / "page.js"))) == ["", [[["sensors/#"], 1]]]


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


PRELUDE = """
import { connect } from "./client.js";
declare function askForToken(why: { code: number; reason: string } | null): Promise<string | null>;
declare function show(status: string): void;
declare function warn(text: string): void;
declare function grey(topic: string, stale: boolean): void;
declare function draw(message: { topic: string; data: unknown; timestamp: number | null }): void;
declare const signal: AbortSignal;
declare const now: number;
"""


@pytest.mark.usefixtures("node")
def test_every_option_that_the_page_names_exists(tmp_path: Path) -> None:
    """By the types that are served with the client: an option that is not there, or another way, is an error."""
    (tmp_path / "client.d.ts").write_bytes(load()["/client.d.ts"].content)
    (tmp_path / "page.ts").write_text(PRELUDE + snippet("What `connect` gives", "js"))
    options = ("--strict", "--noEmit", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")
    tsc = [str(MODULES / ".bin" / "tsc"), *options, "--types", "", "page.ts"]
    run = subprocess.run(tsc, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout
