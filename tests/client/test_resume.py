"""The client in Node against the real gateway, through a proxy that cuts its connections."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.nats import Nats

SCRIPT = Path(__file__).parent / "resume.js"
TOPICS = 5


@contextmanager
def numbering(broker: Mosquitto, rate: float) -> Iterator[Callable[[], int]]:
    """Publishes rising numbers on TOPICS topics until the function it gives is called, which returns the last one."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    stop = threading.Event()
    number = 0

    def publish() -> None:
        nonlocal number
        while not stop.wait(1 / rate):
            number += 1
            for topic in range(TOPICS):
                client.publish(f"numbered/{topic}", str(number), qos=1).wait_for_publish(10)

    thread = threading.Thread(target=publish)
    thread.start()

    def finish() -> int:
        stop.set()
        thread.join()
        client.publish("done", "1", qos=1).wait_for_publish(10)
        return number

    try:
        yield finish
    finally:
        stop.set()
        thread.join()
        client.disconnect()
        client.loop_stop()


def followed(node: str, broker: Mosquitto, daemon: Daemon, cuts: int, *options: str) -> dict[str, object]:
    """The script's report after so many cuts; every topic has to end with the last number."""
    with (
        numbering(broker, 50) as finish,
        subprocess.Popen(
            [node, str(SCRIPT), str(daemon.port), str(cuts), *options], stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "cut enough\n"
            last = finish()
            report = json.loads(process.stdout.readline())
            assert report.pop("newest") == {f"numbered/{topic}": last for topic in range(TOPICS)}
            return dict(report)
        finally:
            process.kill()


def config(broker: Mosquitto) -> str:
    return f'[[upstream]]\nname = "test"\nurls = ["{broker.url}"]\n'


def check(report: dict[str, object], cuts: int, transport: str) -> None:
    assert report["cuts"] == cuts
    assert report["connections"] > cuts / 2  # type: ignore[operator]  # some cuts hit a connection that was just made
    assert report["messages"] > 200  # type: ignore[operator]
    assert {key: report[key] for key in ("twice", "disordered", "missing", "gaps", "transport")} == {
        "twice": 0,
        "disordered": 0,
        "missing": 0,
        "gaps": [],
        "transport": transport,
    }


@pytest.mark.parametrize(
    ("transport", "cuts"),
    [
        ("websocket", 15),
        ("events", 15),
        pytest.param("websocket", 1000, marks=[pytest.mark.slow, pytest.mark.timeout(400)]),
    ],
)
def test_resumes_in_order_without_loss_or_duplicate(
    node: str, mosquitto: Mosquitto, gateway: Callable[[str], Daemon], transport: str, cuts: int
) -> None:
    options = ("--events",) if transport == "events" else ()
    check(followed(node, mosquitto, gateway(config(mosquitto)), cuts, *options), cuts, transport)


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "cuts"), [("websocket", 40), ("events", 15)])
def test_resumes_all_the_same_where_the_log_is_a_stream(
    node: str, mosquitto: Mosquitto, nats: Nats, gateway: Callable[[str], Daemon], transport: str, cuts: int
) -> None:
    options = ("--events",) if transport == "events" else ()
    shared = (
        f'[history]\nlog = "jetstream"\n[history.jetstream]\nurls = "{nats.nats_url}"\n'
        'replicas = 1\nmax_bytes = "64 MiB"\n'
    )
    daemon = gateway(config(mosquitto) + shared)
    daemon.await_broker()
    check(followed(node, mosquitto, daemon, cuts, *options), cuts, transport)


@pytest.mark.parametrize("cuts", [20, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_with_the_websocket_of_node_itself(
    node_with_websocket: str, mosquitto: Mosquitto, gateway: Callable[[str], Daemon], cuts: int
) -> None:
    daemon = gateway(config(mosquitto))
    check(followed(node_with_websocket, mosquitto, daemon, cuts, "--own-websocket"), cuts, "websocket")
