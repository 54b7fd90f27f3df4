"""A page of another origin in a real browser, with and without a token, by WebSocket, by fetch and by events."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.browser import chromium
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.publisher import Publisher

from gateway.edge.tokens import Tokens

PAGE = """<!doctype html><pre id="out"></pre><pre id="api"></pre><pre id="events"></pre>
<script type="module">
  const base = "%(base)s", token = %(token)s;
  const put = (id, text) => { document.querySelector("#" + id).textContent = text; };
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const { connect } = await import(base + "/client.js");
  connect(base, token ? { token } : {}).subscribe("sensors/#", ({ topic, data }) => put("out", topic + data.t));
  fetch(base + "/api/topics", { headers })
    .then((r) => r.json()).then((o) => put("api", o.topics.length), (e) => put("api", e));
  const resumed = { ...headers, "Last-Event-ID": "x:0" };
  const { body } = await fetch(base + "/events?topic=sensors/%%23", { headers: resumed });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    text += value ?? "";
    if (done || text.includes('"type":"message"')) { put("events", /"t": ?20.5/.test(text)); break; }
  }
</script>"""


@contextmanager
def website(page: str) -> Iterator[str]:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("with_token", [False, True])
def test_a_page_of_an_allowed_origin_reads_by_every_way(
    mosquitto: Mosquitto, gateway: Callable[[str], Daemon], tmp_path, with_token: bool
) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    text = tokens.new("page", "reader", now=time.time())
    daemon = gateway(
        f'[[upstream]]\nurls = ["{mosquitto.url}"]\n[origins]\nallow = ["http://localhost:*"]\n'
        f'[auth]\nanonymous = "{"" if with_token else "local"}"\ntokens_file = "{tokens.path}"\n'
        '[[role]]\nname = "viewer"\n[[role]]\nname = "reader"\nsubscribe = ["sensors/#"]\n'
    )
    base = f"http://127.0.0.1:{daemon.port}"
    page_text = PAGE % {"base": base, "token": f'"{text}"' if with_token else "null"}
    with Publisher(mosquitto.port) as publisher, website(page_text) as address, chromium() as browser:
        publisher.publish("sensors/a", {"t": 20.5}, retain=True)
        page = browser.new_page()
        page.goto(address)
        shown = "document.querySelector('#%s').textContent"
        page.wait_for_function(f"{shown % 'out'} === 'sensors/a20.5'")
        page.wait_for_function(f"{shown % 'api'} === '1'")
        page.wait_for_function(f"{shown % 'events'} === 'true'")
    assert text not in daemon.log


def test_a_page_of_another_origin_reads_nothing(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway("")
    base = f"http://127.0.0.1:{daemon.port}"
    page_text = PAGE % {"base": base, "token": "null"}
    with website(page_text) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("document.querySelector('#api').textContent.includes('TypeError')")
        assert (
            page.evaluate("document.querySelector('#out').textContent + document.querySelector('#events').textContent")
            == ""
        )
    assert "to allow it: [origins] allow = " in daemon.log
