"""An edge box: 50 messages a second and five viewers over TLS must fit into little memory (design: workload I)."""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from websockets.asyncio.client import connect

VIEWERS = 5
RATE = 50
SECONDS = 60
MOST = 45 * 1024**2


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.timing
async def test_memory_after_a_minute(
    gateway: Callable[[str], Daemon],
    mosquitto: Mosquitto,
    certificate: Any,
) -> None:
    daemon = gateway(
        f'[[upstream]]\nname = "main"\nurls = ["{mosquitto.url}"]\n[[listen]]\nport = {{port}}\n'
        f'tls = {{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}\n'
    )
    await daemon.logged("connected to")
    context = ssl.create_default_context(cafile=str(certificate.ca))
    url = f"wss://localhost:{daemon.port}/stream?topic=%23&readings=1"
    seen = [0] * VIEWERS

    async def view(number: int) -> None:
        async with connect(url, ssl=context, compression=None, proxy=None) as client:
            async for _ in client:
                seen[number] += 1

    viewing = [asyncio.create_task(view(number)) for number in range(VIEWERS)]
    publisher = mqtt.Client(CallbackAPIVersion.VERSION2)
    publisher.connect("127.0.0.1", mosquitto.port)
    publisher.loop_start()
    try:
        for number in range(SECONDS * RATE):
            values = {"temperature": 20 + number % 10, "humidity": 50}
            publisher.publish(f"sensors/dev{number % 50}/state", json.dumps(values))
            await asyncio.sleep(1 / RATE)
        assert min(seen) > SECONDS * RATE * 0.9
        assert resident(daemon.pid) <= MOST
    finally:
        for task in viewing:
            task.cancel()
        await asyncio.gather(*viewing, return_exceptions=True)
        publisher.disconnect()
        publisher.loop_stop()
