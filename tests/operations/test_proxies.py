"""The proxies as docs/install.md sets them up, in front of one gateway whose viewers sign in."""

import asyncio
import base64
import os
import re
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from support.balancers import HOST, Caddy, HAProxy, Nginx, filled_in, nginx_places, snippet
from support.daemon import Daemon
from support.edge import receive
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from support.processes import lasting_port
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.config import Heartbeat
from gateway.edge.tokens import Tokens
from gateway.operations.control import ask

pytestmark = pytest.mark.slow

VIEWER = "127.0.0.2"  # an address that neither the proxy nor the gateway has
ELSEWHERE = "203.0.113.9"
FORGED = {
    "Forwarded": f"for={ELSEWHERE};host=evil.example;proto=http",
    "X-Forwarded-For": ELSEWHERE,
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": ELSEWHERE,
}
AT_ONCE = 1.0  # seconds
BYTES = "HAProxy, passing bytes on"
KINDS = {"nginx": "nginx", "Caddy": "caddyfile", "HAProxy": "haproxy", BYTES: "haproxy"}
LIMITS = {
    "nginx": {"proxy_read_timeout", "proxy_send_timeout"},
    "Caddy": set(),
    "HAProxy": {"timeout client", "timeout server", "timeout tunnel"},
    BYTES: {"timeout client", "timeout server"},
}


class Public(NamedTuple):
    """The certificate of the name by which the gateway is reached, and who signed it."""

    context: ssl.SSLContext
    ca: Path
    certificate: Path
    key: Path


@dataclass
class House:
    """The gateway, the proxy in front of it, and a token that the gateway knows."""

    proxy: Nginx | Caddy | HAProxy
    gateway: Daemon
    context: ssl.SSLContext
    token: str

    @property
    def origin(self) -> str:
        return f"https://{HOST}:{self.proxy.port}"

    def viewer(self, *, origin: str = "", headers: dict[str, str] | None = None, signs_in: bool = True) -> connect:
        """One that signs in as a browser does; `async with` it."""
        bearer = "bearer." + base64.urlsafe_b64encode(self.token.encode()).decode().rstrip("=")
        return connect(
            f"wss://{HOST}:{self.proxy.port}/stream?topic=t&replay=none",
            host="127.0.0.1",
            local_addr=(VIEWER, 0),
            ssl=self.context,
            origin=origin or self.origin,  # type: ignore[arg-type]
            subprotocols=["sensor-gateway.v1.json", *([bearer] if signs_in else [])],  # type: ignore[list-item]
            additional_headers=headers,
            compression=None,
            proxy=None,
        )

    @asynccontextmanager
    async def asked(self, path: str) -> AsyncIterator[asyncio.StreamReader]:
        """The answer to a GET, as it comes in."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.proxy.port, ssl=self.context, server_hostname=HOST, local_addr=(VIEWER, 0)
        )
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {HOST}:{self.proxy.port}",
            f"Authorization: Bearer {self.token}",
            "Connection: close",
        ]
        try:
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            yield reader
        finally:
            # Without a goodbye: it would cross what is still coming.
            writer.transport.abort()
            await asyncio.sleep(0)

    async def get(self, path: str) -> bytes:
        async with self.asked(path) as reader:
            return await asyncio.wait_for(reader.read(), 5)

    async def addresses(self) -> list[str]:
        """Of all viewers that the gateway has."""
        told = await asyncio.to_thread(ask, [self.gateway.folder / "control.sock"], {"do": "clients"})
        return [each["address"] for each in told["clients"]]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Public:
    folder = tmp_path_factory.mktemp("public")
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    public = Public(context, folder / "ca.pem", folder / "fullchain.pem", folder / "privkey.pem")
    authority.cert_pem.write_to_path(public.ca)
    public.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(public.key)
    return public


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def house(kind: str, public: Public, mosquitto: Mosquitto) -> AsyncIterator[House]:
    with built(kind, public, mosquitto) as house:
        await house.gateway.logged("connected to")
        yield house


@contextmanager
def built(
    kind: str, public: Public, mosquitto: Mosquitto, *, heartbeat: str = "20s", limit: str = "", anonymous: str = ""
) -> Iterator[House]:
    """Gateway and proxy; with `limit` in place of every time limit of the page."""
    listen = snippet("install.md", kind if kind == BYTES else "Behind a proxy", "toml")
    tls = {"tls/certificate.pem": str(public.certificate), "tls/key.pem": str(public.key)}
    listen = filled_in(listen, {"8443": "{port}"} | tls if kind == BYTES else {"8880": "{port}"})
    listen = filled_in(listen, {'anonymous = ""': f'anonymous = "{anonymous}"'})
    config = f"""[gateway]
state_dir = "{{folder}}"
drain = "1s"
[heartbeat]
interval = "{heartbeat}"
[[upstream]]
urls = ["{mosquitto.url}"]
{listen}"""
    with ExitStack() as stack:
        gateway = Daemon(config, port=lasting_port())
        token = Tokens(gateway.folder / "tokens.json").new("kiosk", "viewer", now=time.time())
        stack.enter_context(gateway)
        text = snippet("install.md", kind, KINDS[kind])
        if limit:
            text = re.sub(r"\b75s\b", limit, text)
        proxy = stack.enter_context(proxy_of(kind, text, gateway.port, public))
        yield House(proxy, gateway, public.context, token)


def proxy_of(kind: str, text: str, gateway: int, public: Public) -> Nginx | Caddy | HAProxy:
    """The proxy of the page, with the places of this test."""
    places = {f"127.0.0.1:{8443 if kind == BYTES else 8880}": f"127.0.0.1:{gateway}"}
    if kind == "nginx":
        return Nginx(filled_in(text, places | nginx_places(public.certificate, public.key)))
    if kind == "Caddy":
        places[f"{HOST} {{"] = f"https://{HOST}:{{port}} {{\n    tls {public.certificate} {public.key}"
        return Caddy(filled_in(text, places))
    places["bind :443"] = "bind 127.0.0.1:{port}"
    if kind == "HAProxy":
        pem = public.key.with_name("haproxy.pem")
        pem.write_text(public.certificate.read_text() + public.key.read_text())
        places[f"/etc/haproxy/{HOST}.pem"] = str(pem)
    return HAProxy(filled_in(text, places))


@pytest.mark.timing
async def test_a_page_of_the_public_name_gets_live_messages_at_once(house: House, mosquitto: Mosquitto) -> None:
    async with house.viewer() as client:
        assert client.subprotocol == "sensor-gateway.v1.json"
        await receive(client, "welcome")
        with MqttPublisher(mosquitto.port) as sensor:
            for number in range(3):
                sensor.publish("t", str(number), qos=1)
                assert (await receive(client, "message", AT_ONCE))["data"] == number


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["honest", "forging"])
async def test_a_page_of_another_name_or_that_came_in_the_clear_is_refused(
    house: House, headers: dict[str, str]
) -> None:
    for origin in ("https://evil.example", house.origin.replace("https", "http")):
        with pytest.raises(InvalidStatus) as refused:
            await house.viewer(origin=origin, headers=headers)
        assert refused.value.response.status_code == 403
        assert origin in refused.value.response.headers["Sensor-Gateway-Reason"]


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["honest", "forging"])
async def test_the_gateway_knows_a_viewer_by_its_own_address(house: House, headers: dict[str, str]) -> None:
    async with house.viewer(headers=headers) as client:
        await receive(client, "welcome")
        assert await house.addresses() == [VIEWER]
    log = await house.gateway.logged("action=sign-in")
    assert f"action=sign-in result=ok address={VIEWER} " in log
    assert ELSEWHERE not in log


async def test_whoever_need_not_sign_in_comes_in_by_the_public_name(
    kind: str, public: Public, mosquitto: Mosquitto
) -> None:
    with built(kind, public, mosquitto, anonymous="viewer") as house:
        async with house.viewer(signs_in=False) as client:
            assert (await receive(client, "welcome"))["role"] == "viewer"


@pytest.mark.timing
async def test_server_sent_events_are_not_held_back(house: House, mosquitto: Mosquitto) -> None:
    async with house.asked("/events?topic=t&replay=none") as reader:
        await asyncio.wait_for(reader.readuntil(b'"type":"welcome"'), 5)
        with MqttPublisher(mosquitto.port) as sensor:
            for number in range(3):
                sensor.publish("t", str(number), qos=1)
                await asyncio.wait_for(reader.readuntil(f'"data":{number},'.encode()), AT_ONCE)
        assert await house.addresses() == [VIEWER]


@pytest.mark.timing
async def test_server_sent_events_are_not_held_back_by_http_2(public: Public, mosquitto: Mosquitto) -> None:
    """Caddy speaks it with every browser, unasked."""
    with built("Caddy", public, mosquitto) as house:
        await house.gateway.logged("connected to")
        place = f"{HOST}:{house.proxy.port}"
        options = ["-siN", "--http2", "--noproxy", "*", "--interface", VIEWER, "--cacert", str(public.ca)]
        curl = await asyncio.create_subprocess_exec(
            "curl",
            *options,
            *("--resolve", f"{place}:127.0.0.1", "-H", f"Authorization: Bearer {house.token}"),
            f"https://{place}/events?topic=t&replay=none",
            stdout=asyncio.subprocess.PIPE,
        )
        assert curl.stdout is not None
        try:
            assert (await asyncio.wait_for(curl.stdout.readline(), 5)).startswith(b"HTTP/2 200")
            await asyncio.wait_for(curl.stdout.readuntil(b'"type":"welcome"'), 5)
            with MqttPublisher(mosquitto.port) as sensor:
                sensor.publish("t", "7", qos=1)
                await asyncio.wait_for(curl.stdout.readuntil(b'"data":7,'), AT_ONCE)
        finally:
            curl.kill()
            await curl.communicate()


async def test_a_reader_of_server_sent_events_that_leaves_is_gone(
    kind: str, public: Public, mosquitto: Mosquitto
) -> None:
    # HAProxy looks at its client again only where it has something to write.
    with built(kind, public, mosquitto, heartbeat="500ms" if kind == "HAProxy" else "20s") as house:
        async with house.asked("/events?topic=t&replay=none") as reader:
            await asyncio.wait_for(reader.readuntil(b'"type":"welcome"'), 5)
        await house.gateway.logged("action=sign-out result=ok")


async def test_the_goodbye_of_a_gateway_that_drains_comes_through(house: House) -> None:
    async with house.viewer() as client, house.asked("/events?topic=t&replay=none") as reader:
        await receive(client, "welcome")
        await asyncio.wait_for(reader.readuntil(b'"type":"welcome"'), 5)
        os.kill(house.gateway.pid, signal.SIGTERM)
        closing = await receive(client, "closing")
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, closing["reason"])
        assert b'"type":"closing"' in await asyncio.wait_for(reader.read(), 5)


async def test_the_page_and_the_health_come_through(house: House) -> None:
    page, health = await house.get("/"), await house.get("/healthz")
    assert page.startswith(b"HTTP/1.1 200")
    assert b"</html>" in page
    assert health.startswith(b"HTTP/1.1 200")
    assert b"ok\n" in health


def test_time_limits_are_longer_than_the_heartbeat(kind: str) -> None:
    text = snippet("install.md", kind, KINDS[kind])
    limits = {
        name: float(value) for name, value in re.findall(r"^\s*(\w*timeout(?: \w+)?) (\d+)s;?$", text, re.MULTILINE)
    }
    limits.pop("timeout connect", None)
    assert set(limits) == LIMITS[kind]
    assert all(value > 2 * Heartbeat().interval for value in limits.values()), limits


@pytest.mark.parametrize("kind", [kind for kind in KINDS if LIMITS[kind]])
async def test_heartbeats_keep_a_silent_stream_open_beyond_the_time_limits(
    kind: str, public: Public, mosquitto: Mosquitto
) -> None:
    with built(kind, public, mosquitto, heartbeat="500ms", limit="2s") as house:
        async with house.viewer() as client, house.asked("/events?topic=t") as reader:
            for _ in range(4):  # about one a second
                await receive(client, "heartbeat")
                await asyncio.wait_for(reader.readuntil(b'"type":"heartbeat"'), 5)
