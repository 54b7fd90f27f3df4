"""The load balancers as docs/scale.md sets them up, in front of two gateways."""

import asyncio
import os
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.balancers import HOST, HAProxy, Nginx, filled_in, nginx_places, snippet
from support.daemon import Daemon
from support.edge import receive
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.processes import Process, lasting_port
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.operations.control import ask

pytestmark = pytest.mark.slow

VIEWER = "127.0.0.2"  # an address that neither the proxy nor a gateway has
NAMES = ("gateway1", "gateway2")


@dataclass
class House:
    """Two gateways, and the balancer in front of them."""

    proxy: Process
    gateways: dict[str, Daemon]
    context: ssl.SSLContext
    says_down: bool
    clients: list[ClientConnection] = field(default_factory=list)

    async def viewer(self, query: str = "") -> tuple[ClientConnection, str]:
        """A new one, and the name of the gateway that serves it."""
        client = await connect(
            f"wss://{HOST}:{self.proxy.port}/stream{query}",
            host="127.0.0.1",
            local_addr=(VIEWER, 0),
            ssl=self.context,
            server_hostname="localhost",
            origin=None,
            compression=None,
            proxy=None,
        )
        self.clients.append(client)
        return client, (await receive(client, "welcome"))["gateway"]

    async def viewers(self, least: int, query: str = "") -> dict[str, list[ClientConnection]]:
        """At least so many of each gateway."""
        found: dict[str, list[ClientConnection]] = {name: [] for name in NAMES}
        while min(len(each) for each in found.values()) < least:
            client, name = await self.viewer(query)
            found[name].append(client)
        return found


@pytest.fixture(params=["HAProxy, ending TLS", "HAProxy, passing bytes on", "nginx"])
async def house(
    request: pytest.FixtureRequest, certificate: Any, mosquitto: Mosquitto, tmp_path: Path
) -> AsyncIterator[House]:
    kind = request.param
    listen = listener(snippet("scale.md", kind, "toml"), certificate)
    with ExitStack() as stack:
        gateways = {name: Daemon(config(name, mosquitto, listen), port=lasting_port()) for name in NAMES}
        for gateway in gateways.values():
            stack.enter_context(gateway)
            # It is there before its broker, and would not have what is published meanwhile.
            await gateway.logged("connected to")
        proxy = balancer(kind, list(gateways.values()), certificate, tmp_path)
        context = ssl.create_default_context(cafile=str(certificate.ca))
        house = House(stack.enter_context(proxy), gateways, context, isinstance(proxy, HAProxy))
        try:
            yield house
        finally:
            for client in house.clients:
                await client.close()


def config(name: str, mosquitto: Mosquitto, listen: str) -> str:
    return f"""[gateway]
name = "{name}"
state_dir = "{{folder}}"
drain = "10s"
[[upstream]]
name = "{name}"
urls = ["{mosquitto.url}"]
{listen}
"""


def listener(text: str, certificate: Any) -> str:
    """What the page says to the gateways, with the places of this test; its viewers have no tokens."""
    tls = "tls = " in text
    places = {"10.0.0.1/32": "127.0.0.1/32", '"*"': '"127.0.0.1"', f"port = {8443 if tls else 8880}": "port = {port}"}
    if tls:
        places |= {
            "tls/certificate.pem": str(certificate.certificate),
            "tls/key.pem": str(certificate.key),
            "proxy_protocol = true": 'proxy_protocol = true\nanonymous = "viewer"',
        }
    else:
        places['anonymous = ""'] = 'anonymous = "viewer"'
    return filled_in(text, places)


def balancer(kind: str, gateways: list[Daemon], certificate: Any, folder: Path) -> HAProxy | Nginx:
    """The balancer of the page, in front of the two; the third is left out."""
    text = snippet("scale.md", kind, "nginx" if kind == "nginx" else "haproxy")
    port = 8443 if "send-proxy" in text else 8880
    text = "\n".join(line for line in text.splitlines() if f"10.0.0.13:{port}" not in line) + "\n"
    places = {f"10.0.0.1{number}:{port}": f"127.0.0.1:{gateway.port}" for number, gateway in enumerate(gateways, 1)}
    if kind == "nginx":
        return Nginx(filled_in(text, places | nginx_places(certificate.certificate, certificate.key)))
    if "defaults" not in text:
        text = snippet("scale.md", "HAProxy, ending TLS", "haproxy").partition("frontend")[0] + text
    places["maxconn 100000"] = "maxconn 4000"  # two descriptors each, of which a test has not as many
    pem = folder / "haproxy.pem"
    pem.write_text(certificate.certificate.read_text() + certificate.key.read_text())
    places["bind :443"] = "bind 127.0.0.1:{port}"
    if port == 8880:
        places[f"/etc/haproxy/{HOST}.pem"] = str(pem)
    return HAProxy(filled_in(text, places))


async def test_a_viewer_comes_through_with_its_own_address(house: House) -> None:
    _, name = await house.viewer("?topic=t&replay=none")
    told = await asyncio.to_thread(ask, [house.gateways[name].folder / "control.sock"], {"do": "clients"})
    assert [each["address"] for each in told["clients"]] == [VIEWER]


async def test_messages_and_the_end_come_through_at_once(house: House, mosquitto: Mosquitto) -> None:
    """Nothing is buffered on the way, neither in the stream nor in Server-Sent Events."""
    client, _ = await house.viewer("?topic=t&replay=none")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", house.proxy.port, ssl=house.context, server_hostname="localhost", local_addr=(VIEWER, 0)
    )
    writer.write(f"GET /events?topic=t&replay=none HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    await asyncio.wait_for(reader.readuntil(b'"type":"welcome"'), 5)
    with MqttPublisher(mosquitto.port) as sensor:
        for number in range(3):
            sensor.publish("t", str(number), qos=1)
            assert (await receive(client, "message"))["data"] == number
            await asyncio.wait_for(reader.readuntil(f'"data":{number},'.encode()), 5)
    # Without a goodbye: it would cross what is still coming.
    writer.transport.abort()
    await asyncio.sleep(0)


async def test_a_gateway_that_drains_gets_nobody_new_and_keeps_whom_it_has(house: House, mosquitto: Mosquitto) -> None:
    viewers = await house.viewers(4, "?topic=t&replay=none")
    leaving = house.gateways["gateway1"]
    os.kill(leaving.pid, signal.SIGTERM)
    await leaving.logged("stopping: ")
    if house.says_down:
        await house.proxy.logged("gateways/gateway1 is DOWN")
    newcomers = [await house.viewer() for _ in range(20)]
    assert Counter(name for _, name in newcomers) == {"gateway2": 20}
    with MqttPublisher(mosquitto.port) as sensor:
        sensor.publish("t", "1", qos=1)
    # Goodbyes are spread over the drain: who has not been told yet is served.
    heard = {await first_of(client, "closing", "message") for client in viewers["gateway1"]}
    assert heard == {"closing", "message"}
    for client in viewers["gateway2"]:
        assert await first_of(client, "closing", "message") == "message"


async def test_a_gateway_that_dies_is_passed_over(house: House) -> None:
    viewers = await house.viewers(1)
    house.gateways["gateway1"].kill()
    for _ in range(20):
        _, name = await house.viewer()
        assert name == "gateway2"
    with pytest.raises(ConnectionClosed):
        while True:
            await viewers["gateway1"][0].recv()


async def first_of(client: ClientConnection, *kinds: str) -> str:
    """Which of these comes first."""
    while True:
        kind = str((await receive(client))["type"])
        if kind in kinds:
            return kind
