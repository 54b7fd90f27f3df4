"""What Prometheus makes of our metrics, alerts and dashboard: a real one, that scrapes real gateways."""

import json
import math
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.nats import Nats
from support.processes import free_port
from support.prometheus import Prometheus, promtool
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gateway.edge.tokens import Tokens
from gateway.metrics import METRICS, PREFIX

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = DOCS / "alerts.yml"
BOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
TARGETS = {
    f"{panel['title']}: {target['legendFormat']}": target["expr"]
    for panel in BOARD["panels"]
    for target in panel.get("targets", ())
}
STORED = """[gateway]
state_dir = "{folder}"
drain = "0s"
[auth]
tokens_file = "tokens.json"
ROLES
[history]
disk = "history.db"
[heartbeat]
interval = "1s"
[backpressure]
soft = "64 KiB"
[[upstream]]
name = "barn"
urls = "BROKER"
[[listen]]
address = "127.0.0.1"
port = {port}
tls = { certificate = "CERTIFICATE", key = "KEY" }
[[listen]]
address = "127.0.0.1"
port = PLAIN
"""
SHARED = """[gateway]
state_dir = "{folder}"
drain = "0s"
[history]
log = "jetstream"
[history.jetstream]
urls = "NATS"
replicas = 1
max_bytes = "64 MiB"
prefix = ""
topics = ["devices/#", "field/#"]
[heartbeat]
interval = "1s"
[[upstream]]
name = "field"
urls = "BROKER"
prefix = "field/"
[[upstream]]
name = "devices"
urls = "BROKER"
ingest = "none"
topics = [{ filter = "devices/#" }]
[[listen]]
port = {port}
metrics = true
"""


class Traffic(threading.Thread):
    """Ten messages a second."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._over = threading.Event()

    def run(self) -> None:
        with MqttPublisher(self._port) as publisher:
            while not self._over.wait(0.1):
                publisher.publish("t/temperature", "21.5", qos=1)

    def end(self) -> None:
        self._over.set()
        self.join()


class Viewer(threading.Thread):
    """Reads all that comes, and tries to publish, which viewers may not."""

    def __init__(self, port: int, **subscribe: Any) -> None:
        super().__init__()
        self._url = f"ws://localhost:{port}/stream"
        self._subscribe = json.dumps({"type": "subscribe", "id": 1, **subscribe})
        self._over = threading.Event()

    def run(self) -> None:
        with connect(self._url, compression=None, proxy=None) as client:
            client.send(self._subscribe)
            client.send(json.dumps({"type": "publish", "id": 2, "topic": "t/lamp", "data": "on"}))
            while not self._over.is_set():
                with suppress(TimeoutError):
                    client.recv(0.1)

    def end(self) -> None:
        self._over.set()
        self.join()


class Scene(NamedTuple):
    """What there is, all of it at work; `calm` is what the alerts said before anything was provoked."""

    prometheus: Prometheus
    texts: list[str]
    calm: dict[str, list[tuple[dict[str, str], float]]]


def in_the_page(language: str) -> str:
    """What docs/metrics.md shows in it."""
    [block] = re.findall(rf"```{language}\n(.*?)```", (DOCS / "metrics.md").read_text(), re.DOTALL)
    return str(block)


def scrape_config(port: int, certificate: Any, token: Path, shared: int) -> str:
    """As docs/metrics.md has it, for the gateways of this scene."""
    block = in_the_page("yaml")
    block = block.replace("/etc/prometheus/sensor-gateway.token", str(token))
    block = block.replace("/etc/prometheus/sensor-gateway-ca.pem", str(certificate.ca))
    block = block.replace("gateway.example:8443", f"localhost:{port}")
    return (
        f"global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{ALERTS}]\n{block}"
        f'  - job_name: shared\n    static_configs: [{{ targets: ["127.0.0.1:{shared}"] }}]\n'
    )


def fall_behind(port: int, broker: int) -> socket.socket:
    """A viewer that never reads, and more for it than its socket and its outbox hold."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", port))
    slow.sendall(
        f"GET /stream?topic=flood/%23 HTTP/1.1\r\nHost: localhost:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert slow.recv(12) == b"HTTP/1.1 101"
    with MqttPublisher(broker) as publisher:
        for _ in range(200):
            publisher.publish("flood/a", '"' + "x" * 50_000 + '"', qos=1)
    return slow


def provoke(stack: ExitStack, plain: int, broker: int) -> None:
    """Everything of which a panel shows how often it happened."""
    url = f"ws://localhost:{plain}/stream"
    with pytest.raises(InvalidStatus), connect(url, proxy=None, origin="http://evil.example"):
        pass
    with connect(url, proxy=None, additional_headers={"Authorization": "Bearer gw_wrong"}) as client:
        with pytest.raises(ConnectionClosed):
            client.recv(5)
    with MqttPublisher(broker) as publisher:
        publisher.publish("tele/plug/SENSOR", '{"ENERGY": ', qos=1)
    stack.enter_context(fall_behind(plain, broker))


@pytest.fixture(scope="module")
def scene(certificate: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto())
        nats = stack.enter_context(Nats())
        plain = free_port()
        config = STORED.replace("ROLES", in_the_page("toml")).replace("BROKER", broker.url).replace("PLAIN", str(plain))
        config = config.replace("CERTIFICATE", str(certificate.certificate)).replace("KEY", str(certificate.key))
        stored = Daemon(config)
        stack.callback(stored.close)
        token = folder / "token"
        token.write_text(Tokens(stored.folder / "tokens.json").new("prometheus", "prometheus", now=time.time()))
        stored.start()
        shared = stack.enter_context(Daemon(SHARED.replace("BROKER", broker.url).replace("NATS", nats.nats_url)))
        traffic = Traffic(broker.port)
        viewers = [Viewer(port, topics=["#"], readings=True) for port in (plain, plain, shared.port)]
        for thread in (traffic, *viewers):
            stack.callback(thread.end)
            thread.start()
        prometheus = stack.enter_context(Prometheus(scrape_config(stored.port, certificate, token, shared.port)))
        prometheus.await_series(f"min_over_time({PREFIX}upstream_up[5s:1s]) == 1")
        for name in ("barn", "field"):
            prometheus.await_series(f'rate({PREFIX}upstream_received_messages_total{{upstream="{name}"}}[5s]) > 5')
        prometheus.await_series("count(count_over_time(up[1m]) > 8) == 2")
        groups = prometheus.ask("rules")["groups"]
        calm = {rule["name"]: prometheus.query(rule["query"]) for group in groups for rule in group["rules"]}
        provoke(stack, plain, broker.port)
        for name in ("lost_messages", "decode_failures", "refused_connections", "refused_commands", "rejected_origins"):
            prometheus.await_series(f"sum(increase({PREFIX}{name}_total[10s])) >= 0 and sum({PREFIX}{name}_total) > 0")
        prometheus.await_series(f"sum({PREFIX}ping_rtt_seconds_count) > 0")
        yield Scene(prometheus, [text(shared.port), text(stored.port, certificate, token)], calm)


def text(port: int, certificate: Any = None, token: Path | None = None) -> str:
    """What stands at /metrics."""
    if token is None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    request = urllib.request.Request(
        f"https://localhost:{port}/metrics", headers={"Authorization": f"Bearer {token.read_text()}"}
    )
    context = ssl.create_default_context(cafile=certificate.ca)
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        return str(answer.read().decode())


def test_the_alerts_are_rules() -> None:
    assert promtool("check", "rules", str(ALERTS)) == ""


def test_the_metrics_keep_to_the_conventions(scene: Scene) -> None:
    for each in scene.texts:
        assert promtool("check", "metrics", text=each) == ""


def test_both_gateways_together_have_every_metric(scene: Scene) -> None:
    declared = {metric.full_name for metric in METRICS}
    assert {name for each in scene.texts for name in re.findall(r"^# TYPE (\S+)", each, re.MULTILINE)} == declared


@pytest.mark.parametrize("expression", TARGETS.values(), ids=TARGETS.keys())
def test_a_panel_shows_something(scene: Scene, expression: str) -> None:
    typed = expression.replace("$instance", ".*").replace("$__rate_interval", "10s").replace("[5m]", "[10s]")
    assert "$" not in typed
    found = scene.prometheus.query(typed)
    assert found
    assert all(math.isfinite(value) for _, value in found), found


def test_a_healthy_gateway_raises_no_alert(scene: Scene) -> None:
    assert len(scene.calm) == ALERTS.read_text().count("- alert:")
    assert {name: found for name, found in scene.calm.items() if found} == {}


def test_alerts_look_at_what_there_is_and_can_be_evaluated(scene: Scene) -> None:
    for group in scene.prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule["name"]
            for name in re.findall(rf"{PREFIX}[a-z_]+|up\{{[^}}]*\}}", rule["query"]):
                assert scene.prometheus.query(name), (rule["name"], name)


def test_the_variables_of_the_dashboard_find_every_gateway(scene: Scene) -> None:
    [variable] = [each for each in BOARD["templating"]["list"] if each["name"] == "instance"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
    found = scene.prometheus.ask(f"label/{label}/values", **{"match[]": metric})
    assert len(found) == 2
