"""The end of the real daemon: an ordered drain on the first signal, none on the second; and starts that fail."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.edge import receive
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CLIENTS = 20


async def follow(daemon: Daemon) -> ClientConnection:
    client = await connect(f"{daemon.url}?topic=%23&replay=none", proxy=None)
    await receive(client, "welcome")
    return client


async def health(daemon: Daemon) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.split(b" ")[1]


async def test_sigterm_drains_each_client_is_served_until_its_own_goodbye_and_the_status_is_0(
    mosquitto: Mosquitto, gateway: Callable[[str], Daemon]
) -> None:
    daemon = gateway(f'[[upstream]]\nurls = ["{mosquitto.url}"]\n[gateway]\ndrain = "2s"\nstate_dir = "{{folder}}"\n')
    clients = [await follow(daemon) for _ in range(CLIENTS)]
    await daemon.logged("connected to mqtt")
    assert await health(daemon) == b"200"

    goodbyes: list[float] = []
    retries: list[float] = []
    messages = 0

    async def stay(client: ClientConnection) -> None:
        nonlocal messages
        try:
            async for text in client:
                event = json.loads(text)
                messages += event["type"] == "message"
                if event["type"] == "closing":
                    goodbyes.append(time.monotonic() - begin)
                    retries.append(event["retry_after"])
        except ConnectionClosed:
            pass  # what its code is, is asked below
        assert client.close_code == 1001

    begin = time.monotonic()
    os.kill(daemon.pid, signal.SIGTERM)
    staying = [asyncio.create_task(stay(client)) for client in clients]
    await daemon.logged("stopping")
    assert await health(daemon) == b"503"
    async with connect(daemon.url, proxy=None) as newcomer:
        assert (await receive(newcomer, "closing"))["retry_after"] > 0

    def publish() -> None:
        with MqttPublisher(mosquitto.port) as publisher:
            publisher.publish("a", "still served", qos=1)

    await asyncio.to_thread(publish)
    await asyncio.gather(*staying)
    status = await asyncio.to_thread(daemon.wait, 10)

    assert status == 0
    assert time.monotonic() - begin < 4
    assert messages >= 1
    assert len(set(retries)) == CLIENTS  # nobody comes back in step
    assert max(goodbyes) - min(goodbyes) > 1  # spread over the time there is


async def test_a_second_signal_ends_it_at_once(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway('[gateway]\ndrain = "60s"\nstate_dir = "{folder}"\n')
    clients = [await follow(daemon) for _ in range(5)]
    os.kill(daemon.pid, signal.SIGTERM)
    await daemon.logged("stopping")
    begin = time.monotonic()
    os.kill(daemon.pid, signal.SIGINT)
    status = await asyncio.to_thread(daemon.wait, 10)
    for client in clients:
        await client.close()

    assert status == 1
    assert time.monotonic() - begin < 1.5


def start(file: Path) -> tuple[int, str]:
    """`run` on a configuration that cannot be started with: its status, and what it says on standard error."""
    run = subprocess.run(
        [sys.executable, "-m", "gateway", "run", "--config", str(file)], capture_output=True, text=True, timeout=30
    )
    assert run.stdout == ""
    return run.returncode, run.stderr


def test_a_port_in_use_is_one_line_and_1(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n[[listen]]\nport = {port}\n')
        status, said = start(file)

    assert status == 1
    assert said == f"sensor-gateway: cannot listen on http://127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gateway\n", "config.toml:1: not TOML: "),
        ("[gateway]\nnmae = 1\n", 'config.toml:2: gateway.nmae: unknown key, did you mean "name"?'),
        ('[[listen]]\ntls = { certificate = "x.pem", key = "y.pem" }\n', "config.toml:2: listen[0].tls.certificate: "),
        ('[[listen]]\naddress = "0.0.0.0"\n', "would send values and tokens in the clear"),
    ],
)
def test_a_wrong_configuration_is_told_by_line_and_78(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    status, error = start(file)

    assert status == 78
    assert said in error
    assert "Traceback" not in error
