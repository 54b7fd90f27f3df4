"""The whole gateway through faults on the brokers' side: what is on disk, and what its viewers see meanwhile."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import mqttpackets as packets
from support.authority import Authority
from support.daemon import Daemon
from support.faketime import faketime, set_clock
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.sync.client import ClientConnection, connect

Start = Callable[[str], Daemon]


@contextmanager
def events(url: str, **subscribe: Any) -> Iterator[ClientConnection]:
    """A connection that has subscribed."""
    with connect(url, max_size=None, proxy=None) as connection:
        connection.send(json.dumps({"type": "subscribe", "id": 1, **subscribe}))
        yield connection


@pytest.mark.slow
def test_killed_under_qos_1_load_nothing_is_missing_in_the_history(gateway: Start, tmp_path: Path) -> None:
    # By default Mosquitto keeps 1000 messages for a client that is away.
    with Mosquitto(config="max_queued_messages 0") as broker:
        daemon = gateway(
            f"""
[gateway]
state_dir = "{tmp_path}"
[[upstream]]
urls = ["{broker.url}"]
client_id = "killed"
backoff = {{ min = "50ms", max = "200ms" }}
topics = [{{ filter = "#", qos = 1 }}]
[history]
disk = "history.sqlite"
durable = true
"""
        )
        connected(daemon)
        published, over = 0, threading.Event()

        def load() -> None:
            nonlocal published
            with MqttPublisher(broker.port) as publisher:
                while not over.is_set():
                    publisher.publish("a", str(published), qos=1)
                    published += 1
                    time.sleep(0.0005)

        loader = threading.Thread(target=load)
        loader.start()
        for _ in range(3):
            time.sleep(0.7)
            daemon.kill()
            daemon.start()
            connected(daemon)
        over.set()
        loader.join()
        numbers: list[int] = []
        with events(daemon.url, topics=["#"], replay={"count": 1_000_000}) as connection:
            while not numbers or max(numbers) < published - 1:
                event = json.loads(connection.recv(timeout=60))
                if event["type"] == "message":
                    numbers.append(event["data"])

    assert published > 500
    assert set(numbers) == set(range(published))
    # Known again by packet identifier, topic and payload: none twice, and in order.
    assert numbers == sorted(set(numbers))


def connected(daemon: Daemon) -> None:
    """Wait until the gateway follows its brokers."""
    limit = time.monotonic() + 60
    with connect(daemon.url, proxy=None) as connection:
        while time.monotonic() < limit:
            event = json.loads(connection.recv(timeout=60))
            upstreams = event.get("upstreams", [event] if event["type"] == "upstream" else [])
            if upstreams and all(each["state"] == "connected" for each in upstreams):
                return
    raise AssertionError("not connected")


@pytest.mark.slow
@pytest.mark.timing
def test_a_storm_of_100_000_retained_messages_leaves_viewers_pings_and_health_alone(gateway: Start) -> None:
    """On another upstream's paced topic, since on the storm's own connection everything stands behind the storm."""
    with Mosquitto() as stormy, Mosquitto() as calm:
        with MqttPublisher(stormy.port) as publisher:
            publisher.send(b"".join(packets.publish(f"r/{n}", b"%d" % n, retain=True) for n in range(100_000)))
        stormy.suspend()
        daemon = gateway(
            f"""
[[upstream]]
name = "calm"
urls = ["{calm.url}"]
[[upstream]]
name = "stormy"
urls = ["{stormy.url}"]
prefix = "storm/"
backoff = {{ min = "50ms", max = "200ms" }}
[limits]
last_values = 200000
"""
        )
        latencies: list[float] = []
        pongs: list[float] = []
        health: list[float] = []
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.05):
                begin = time.monotonic()
                with urllib.request.urlopen(daemon.url.replace("ws", "http").replace("/stream", "/healthz")) as answer:
                    assert answer.status == 200
                health.append(time.monotonic() - begin)

        def pace() -> None:
            with MqttPublisher(calm.port) as publisher:
                while not over.wait(0.01):
                    publisher.publish("paced", repr(time.time()))

        with events(daemon.url, topics=["paced", "storm/r/99999"], replay="none") as viewer:
            threads = [threading.Thread(target=work) for work in (ask, pace)]
            for thread in threads:
                thread.start()
            stormy.resume()
            began = time.time()
            while not over.is_set():
                event = json.loads(viewer.recv(timeout=30))
                if event.get("topic") == "storm/r/99999":
                    over.set()  # Mosquitto sends them in no order, so this is somewhere in the middle
                elif event["type"] == "message" and float(event["data"]) > began:
                    latencies.append(time.time() - float(event["data"]))
                    if len(latencies) % 10 == 0:
                        begin = time.monotonic()
                        viewer.ping().wait(5)
                        pongs.append(time.monotonic() - begin)
            for thread in threads:
                thread.join()

    assert percentile(latencies, 0.99) < 0.1
    assert percentile(pongs, 0.99) < 0.2
    assert percentile(health, 0.99) < 0.5


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


class Clockless(Daemon):
    """The daemon on a box whose clock begins in 1970; `clock` is the file that sets it."""

    def __init__(self, config: str) -> None:
        super().__init__(config)
        self.clock = self.folder / "clock"

    def command(self) -> Sequence[str]:
        environment = faketime(self.clock, f"-{int(time.time()) - 3600}")
        return ["env", *(f"{name}={value}" for name, value in environment.items()), *super().command()]


@pytest.mark.slow
def test_a_box_without_a_clock_tells_its_viewers_and_recovers_when_ntp_comes(authority: Authority) -> None:
    """Also those who came before the broker's certificate told what is wrong with the clock."""
    server = authority.issue()
    tls = f"certfile {server.certificate}\nkeyfile {server.key}"
    with (
        Mosquitto(config=tls, scheme="mqtts") as broker,
        Clockless(
            f"""
[[upstream]]
urls = ["{broker.url}"]
tls = {{ ca = "{authority.ca}" }}
backoff = {{ min = "50ms", max = "200ms" }}
"""
        ) as daemon,
        connect(daemon.url, proxy=None) as early,
    ):
        assert until(early, lambda event: event.get("clock") == "suspect")["timestamp"] < 86400
        with connect(daemon.url, proxy=None) as late:
            assert json.loads(late.recv(timeout=10))["clock"] == "suspect"
        assert (
            "broker certificate is not valid yet: this box's clock reads 1970-01-01 (no NTP yet?); retrying"
            in daemon.log
        )

        set_clock(daemon.clock, "+0")
        assert abs(until(early, lambda event: event.get("clock") == "ok")["timestamp"] - time.time()) < 60
        until(early, lambda event: event["type"] == "upstream" and event["state"] == "connected")


def until(connection: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first event from here on that is `wanted`."""
    while True:
        event: dict[str, Any] = json.loads(connection.recv(timeout=20))
        if wanted(event):
            return event
