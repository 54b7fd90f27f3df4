"""Publishes a simulated fleet to a broker: `simulate`, and the sensors of `demo`."""

import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import click
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices.simulator import Fleet, Publication
from gateway.commands.causes import cause
from gateway.config.addresses import url_fault
from gateway.errors import GatewayError

STEP = 0.05  # seconds between two looks at what is due
WRITE_LIMIT = 5.0  # seconds
ANSWER_LIMIT = 10.0  # seconds that a broker has to say whether it takes us


class Simulation:
    """A fleet on one MQTT connection, published by a thread of its own from `start` to `close`.

    On every connect all births go out. `close` publishes the fleet's last wills and takes back every retained message,
    so that the broker is as it was.

    Args:
        url: mqtt://HOST[:PORT] or mqtts://HOST[:PORT].
        password_file: the password, without its final line break; only read where `username` is given.
        ca: PEM file of the authorities to trust for mqtts; None is the system's.

    Raises:
        GatewayError: a URL that is none of these, or a file that cannot be read.
    """

    def __init__(
        self,
        fleet: Fleet,
        url: str,
        *,
        username: str | None = None,
        password_file: Path | None = None,
        ca: Path | None = None,
    ) -> None:
        if "@" in url:
            raise GatewayError("--url: credentials do not belong into an address: give --username and --password-file")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = None
        if host is None or parts.scheme not in ("mqtt", "mqtts"):
            raise GatewayError(f"{url}: not a broker's address, expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
        if fault := url_fault(url):
            raise GatewayError(fault)
        if username is None and password_file is not None:
            raise GatewayError("--password-file: a password is for a user: give --username as well")
        self.url = url
        self._address = (host, port or (8883 if parts.scheme == "mqtts" else 1883))
        self._fleet = fleet
        self._retained: set[str] = set()
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._unborn = threading.Event()
        self._answered = threading.Event()
        self._refusal = ""
        self.sent = 0
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        try:
            if username is not None:
                password = password_file.read_text().rstrip("\r\n") if password_file else None
                self._client.username_pw_set(username, password)
            if parts.scheme == "mqtts":
                self._client.tls_set_context(ssl.create_default_context(cafile=ca))
        except ssl.SSLError:
            raise GatewayError(f"{ca}: no certificates to be read, expected PEM") from None
        except OSError as error:
            raise GatewayError(f"{error.filename or ca}: {error.strerror}") from None
        except ValueError:
            what = password_file or "--username"
            raise GatewayError(f"{what}: not UTF-8, or longer than it may be") from None
        self._thread = threading.Thread(target=self._run, name="simulated sensors", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Connect and publish in the background.

        Raises GatewayError where the first connect fails: nobody listens, or is a broker, or it refuses us.
        """
        host, port = self._address
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise GatewayError(f"cannot reach the broker {self.url}: {cause(error)}") from None
        self._client.loop_start()
        answered = self._answered.wait(ANSWER_LIMIT)
        if not answered or self._refusal:
            self._client.disconnect()
            self._client.loop_stop()
            why = f"refuses us: {self._refusal}" if answered else "does not answer: is it an MQTT broker?"
            raise GatewayError(f"the broker {self.url} {why}")
        self._thread.start()

    def close(self) -> None:
        """Say goodbye for every device, forget what is retained, disconnect."""
        if not self._thread.is_alive():
            return
        self._stop.set()
        self._connected.set()  # so that a thread without a connection wakes up and sees the stop
        self._thread.join()
        if self._client.is_connected():
            self._publish(self._fleet.deaths(time.time()))
            self._publish([Publication(topic, b"", retain=True, qos=1) for topic in sorted(self._retained)])
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._connected.wait()
            if self._unborn.is_set():
                self._unborn.clear()
                self._publish(self._fleet.births(time.time()))
            self._publish(self._fleet.step(time.time()))
            self._stop.wait(STEP)

    def _publish(self, publications: list[Publication]) -> None:
        """Publish and wait until the socket has taken all: a slow broker slows us down instead of filling memory."""
        last = None
        for topic, payload, retain, qos in publications:
            last = self._client.publish(topic, payload, qos=qos, retain=retain)
            if retain:
                self._retained.add(topic)
        self.sent += len(publications)
        if last is not None:
            try:
                last.wait_for_publish(WRITE_LIMIT)
            except (RuntimeError, ValueError):
                pass  # the connection went in between; a sensor does not repeat itself either

    def _on_connect(
        self, client: Client, data: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        first = not self._answered.is_set()
        if reason.is_failure:
            if first:
                self._refusal = str(reason)
                self._answered.set()
                return
            click.echo(f"the broker {self.url} refuses the simulated sensors: {reason}", err=True)
            return
        self._unborn.set()
        self._connected.set()
        self._answered.set()

    def _on_disconnect(
        self, client: Client, data: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if not self._stop.is_set():
            self._connected.clear()


def run_simulation(simulation: Simulation) -> int:
    """Publish until Ctrl-C; the exit status."""
    try:
        with simulation:
            click.echo(f"publishing to {simulation.url} until Ctrl-C")
            threading.Event().wait()
    except KeyboardInterrupt:
        pass  # the way to end it
    click.echo(f"published {simulation.sent} messages")
    return 0
