"""Viewers of many gateways over one log lose a gateway, a broker node or the ingest, and go on at the next offset."""

import json
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from support.balancers import HAProxy, filled_in, snippet
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.natscluster import NatsCluster, Node
from support.nodeclient import NodeClient
from support.processes import lasting_port

SCRIPT = Path(__file__).parents[1] / "client" / "viewers.js"
SECONDS = float(os.environ.get("SENSOR_GATEWAY_CLUSTER_SECONDS", "75"))
VIEWERS = 60
RATE = 100
TOPICS = 20
RECOVERY = 10.0  # seconds
STREAM = "log"


class Certificate(Protocol):
    """See the fixture."""

    ca: Path
    certificate: Path
    key: Path


class Load(threading.Thread):
    """Publishes 1, 2, 3, … at QoS 1, RATE a second, each once the broker has the one before."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.published = 0
        self._port = port
        self._ended = threading.Event()

    def run(self) -> None:
        started = time.monotonic()
        with MqttPublisher(self._port) as publisher:
            while not self._ended.wait(max(0.0, started + self.published / RATE - time.monotonic())):
                number = self.published + 1
                payload = json.dumps({"n": number, "at": round(time.time() * 1000)})
                publisher.publish(f"t/{number % TOPICS}", payload, qos=1)
                self.published = number

    def end(self) -> int:
        """Stop; how many there were."""
        self._ended.set()
        self.join()
        return self.published


class Installation:
    """Three NATS nodes, three gateways that take turns with one MQTT broker, HAProxy as documented in front."""

    def __init__(self, stack: ExitStack, certificate: Certificate, folder: Path) -> None:
        self.cluster = stack.enter_context(NatsCluster())
        self.broker = stack.enter_context(Mosquitto(config="max_queued_messages 0"))
        self.gateways = [stack.enter_context(Daemon(self._config(n), port=lasting_port())) for n in (1, 2, 3)]
        for gateway in self.gateways:
            self.await_ready(gateway)
        pem = folder / "haproxy.pem"
        pem.write_text(certificate.certificate.read_text() + certificate.key.read_text())
        places = {":443 ssl crt /etc/haproxy/sensors.example.org.pem": f"127.0.0.1:{{port}} ssl crt {pem}"}
        places["maxconn 100000"] = "maxconn 4000"  # two descriptors each, of which a test has not as many
        for number, gateway in enumerate(self.gateways, 1):
            places[f"10.0.0.1{number}:8880"] = f"127.0.0.1:{gateway.port}"
        self.proxy = stack.enter_context(
            HAProxy(filled_in(snippet("scale.md", "HAProxy, ending TLS", "haproxy"), places))
        )

    def _config(self, number: int) -> str:
        urls = ", ".join(f'"{url}"' for url in self.cluster.urls)
        return f"""[gateway]
name = "gateway{number}"
state_dir = "{{folder}}"
drain = "2s"
[history]
log = "jetstream"
[history.jetstream]
urls = [{urls}]
stream = "{STREAM}"
replicas = 3
[[upstream]]
name = "plant"
urls = ["{self.broker.url}"]
ingest = "one"
topics = [{{ filter = "t/#", qos = 1 }}]
[[listen]]
port = {{port}}
trusted_proxies = ["127.0.0.1/32"]
hosts = ["sensors.example.org"]
anonymous = "viewer"
"""

    @property
    def holder(self) -> Daemon:
        """The gateway that follows the broker."""
        terms = {
            int(term): gateway
            for gateway in self.gateways
            for term in re.findall(r"upstream plant: followed by this gateway from now on \(term (\d+)\)", gateway.log)
        }
        return terms[max(terms)]

    @property
    def spare(self) -> Daemon:
        """A gateway that does not."""
        holder = self.holder
        return next(gateway for gateway in self.gateways if gateway is not holder and gateway.running)

    def await_ready(self, gateway: Daemon) -> None:
        """Return once /readyz says 200."""
        limit = time.monotonic() + 30
        while not _ready(gateway.port):
            assert time.monotonic() < limit, f"not ready:\n{gateway.log}"
            time.sleep(0.05)  # another process's state has no event here


class Drill:
    """The faults, one after the other; each is over when every viewer goes on, and everything runs again."""

    def __init__(self, house: Installation, viewers: NodeClient, load: Load) -> None:
        self._struck: list[tuple[str, int]] = []
        self._house = house
        self._viewers = viewers
        self._load = load
        self._all = 0

    def run(self, seconds: float) -> None:
        """All of them, spread over `seconds`."""
        steps: list[tuple[str, Callable[[], Callable[[], None]]]] = [
            ("gateway", self._gateway),
            ("NATS follower", self._follower),
            ("NATS leader", self._leader),
            ("ingest holder", self._holder),
            ("restart", self._restart),
        ]
        began = time.monotonic()
        for number, (name, fault) in enumerate(steps):
            self._wait(began + seconds * (number + 0.25) / len(steps))
            self._struck.append((name, self._load.published))
            mend = fault()
            self._await_all(self._load.published + 1)
            mend()
        self._wait(began + seconds)

    def slowest(self, delays: list[float]) -> dict[str, float]:
        """By fault: seconds until the last viewer had the message, of those from that fault on, that took longest."""
        ends = [number for _, number in self._struck[1:]] + [len(delays)]
        return {
            name: max(delays[max(first, 1) : end]) / 1000 for (name, first), end in zip(self._struck, ends, strict=True)
        }

    def _wait(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            assert self._load.is_alive(), "nothing is published any more"

    def _await_all(self, number: int) -> None:
        """Return when every viewer has heard of something as new as that."""
        while self._all < number:
            self._all = self._viewers.next("all", seconds=60)["n"]

    def _gateway(self) -> Callable[[], None]:
        return self._kill(self._house.spare)

    def _holder(self) -> Callable[[], None]:
        return self._kill(self._house.holder)

    def _kill(self, gateway: Daemon) -> Callable[[], None]:
        gateway.kill()
        return lambda: self._house.await_ready(gateway.start())

    def _restart(self) -> Callable[[], None]:
        gateway = self._house.spare
        gateway.stop()
        self._house.await_ready(gateway.start())
        return lambda: None

    def _follower(self) -> Callable[[], None]:
        return self._lose(self._house.cluster.follower(STREAM))

    def _leader(self) -> Callable[[], None]:
        return self._lose(self._house.cluster.leader(STREAM))

    def _lose(self, node: Node) -> Callable[[], None]:
        node.kill()

        def mend() -> None:
            node.start()
            self._house.cluster.await_healthy()

        return mend


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(480)
def test_viewers_go_on_whatever_dies(node: str, certificate: Certificate, tmp_path: Path) -> None:
    with ExitStack() as stack:
        house = Installation(stack, certificate, tmp_path)
        url = f"https://localhost:{house.proxy.port}/"
        viewers = stack.enter_context(NodeClient(node, SCRIPT, certificate.ca, url=url, viewers=VIEWERS, filter="t/#"))
        viewers.next("live", seconds=30)
        load = Load(house.broker.port)
        load.start()
        try:
            drill = Drill(house, viewers, load)
            drill.run(SECONDS)
        finally:
            published = load.end()
        viewers.do("finish", published=published)
        told = viewers.next("reports", seconds=30)
    slowest = drill.slowest(told["delays"])
    lost = sum(report["gaps"] for report in told["reports"])
    after = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest.items())
    print(f"\n{published} messages to {VIEWERS} viewers, {lost} in gaps; the last had each within: {after}")
    assert published > 0.9 * RATE * SECONDS
    for report in told["reports"]:
        assert report["delivered"] + report["gaps"] == published, report
        assert {name: report[name] for name in ("unknown", "twice", "disordered")} == {
            "unknown": 0,
            "twice": 0,
            "disordered": 0,
        }, report
    assert all(seconds < RECOVERY for seconds in slowest.values()), slowest


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
