import gc
import queue
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from support.mosquitto import Mosquitto
from support.nats import Nats

from devices.simulator import Fleet
from gateway.commands import simulate
from gateway.commands.simulate import Simulation
from gateway.errors import GatewayError

Inbox = "queue.Queue[tuple[str, bytes, bool]]"


@contextmanager
def listening(port: int, ca: Path | None = None) -> Iterator[Inbox]:
    """Everything the broker sends to a subscriber of #."""
    inbox: Inbox = queue.Queue()
    subscribed: queue.Queue[bool] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, message: inbox.put((message.topic, message.payload, message.retain))
    client.on_subscribe = lambda *arguments: subscribed.put(True)
    if ca is not None:
        client.tls_set(str(ca))
    client.connect("localhost", port)
    client.loop_start()
    client.subscribe("#")
    subscribed.get(timeout=10)
    try:
        yield inbox
    finally:
        client.disconnect()
        client.loop_stop()


def until(inbox: Inbox, wanted: Callable[[str], bool]) -> set[str]:
    """Topics received up to the first that is `wanted`."""
    topics = set()
    while True:
        topic, _, _ = inbox.get(timeout=10)
        topics.add(topic)
        if wanted(topic):
            return topics


@pytest.mark.parametrize("kind", [Mosquitto, Nats])
def test_a_fleet_of_every_family_is_heard_and_leaves_nothing_retained(kind: type[Mosquitto | Nats]) -> None:
    with kind() as broker:
        with listening(broker.port) as inbox, Simulation(Fleet(devices=45, rate=500), broker.url):
            topics = until(inbox, lambda topic: topic.startswith("sensors/"))
            topics |= until(inbox, lambda topic: topic.startswith("owntracks/"))
        assert {topic.split("/")[0] for topic in topics} >= {
            "zigbee2mqtt",
            "tele",
            "homeassistant",
            "homie",
            "shellies",
        }
        with listening(broker.port) as inbox:
            kept = set()
            while True:
                try:
                    kept.add(inbox.get(timeout=0.5)[0])
                except queue.Empty:
                    break
        assert {topic for topic in kept if not topic.startswith("$")} == set()


def test_births_go_out_again_after_the_broker_came_back() -> None:
    with Mosquitto() as broker, Simulation(Fleet(families=["zigbee2mqtt"]), broker.url):
        with listening(broker.port) as inbox:
            until(inbox, lambda topic: topic == "zigbee2mqtt/bridge/devices")
        broker.kill()
        broker.start()
        with listening(broker.port) as inbox:
            until(inbox, lambda topic: topic == "zigbee2mqtt/bridge/devices")


# paho forgets to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_mqtts_with_a_certificate_of_ones_own(certificate: Any) -> None:
    tls = f"certfile {certificate.certificate}\nkeyfile {certificate.key}\n"
    with Mosquitto(config=tls, scheme="mqtts") as broker:
        with pytest.raises(GatewayError, match="certificate not trusted"):
            Simulation(Fleet(), broker.url).start()
        gc.collect()  # the socket, which stands in a circle with the error
        fleet = Fleet(families=["plain"], rate=100)
        with (
            listening(broker.port, certificate.ca) as inbox,
            Simulation(fleet, broker.url, ca=certificate.ca),
        ):
            until(inbox, lambda topic: topic.startswith("sensors/"))


def test_a_broker_that_is_not_there_is_one_clear_error(free_port: Callable[[], int]) -> None:
    port = free_port()
    with pytest.raises(GatewayError, match=f"cannot reach the broker mqtt://127.0.0.1:{port}: .*refused"):
        Simulation(Fleet(), f"mqtt://127.0.0.1:{port}").start()


def test_a_broker_that_refuses_is_one_clear_error() -> None:
    """It said that it published, and went on trying for ever."""
    with Mosquitto(anonymous=False) as broker, pytest.raises(GatewayError) as refused:
        Simulation(Fleet(), broker.url).start()
    assert str(refused.value) == f"the broker {broker.url} refuses us: Not authorized"


def test_what_listens_there_and_is_no_broker_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "ANSWER_LIMIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"mqtt://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(GatewayError, match=f"the broker {url} does not answer: is it an MQTT broker"):
            Simulation(Fleet(), url).start()


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://x:99999", "mqtt://[::1", "localhost:1883"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(GatewayError, match="expected mqtt://HOST"):
        Simulation(Fleet(), url)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(GatewayError, match=r"/nowhere/ca\.pem"):
        Simulation(Fleet(), "mqtts://x", ca=Path("/nowhere/ca.pem"))


def test_a_host_that_cannot_be_looked_up_and_a_password_without_its_user_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="cannot be the name of a host"):
        Simulation(Fleet(), "mqtt://broker..lan")
    with pytest.raises(GatewayError, match="give --username as well"):
        Simulation(Fleet(), "mqtt://x", password_file=tmp_path / "none")
    with pytest.raises(GatewayError, match="--username: not UTF-8"):
        Simulation(Fleet(), "mqtt://x", username="\udcff")


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(GatewayError, match="--password-file") as refused:
        Simulation(Fleet(), "mqtt://user:secret@x")
    assert "secret" not in str(refused.value)
