"""Restarts behind a socket that stays open: how long one viewer is without its stream."""

import asyncio
import json
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

import pytest
from support.socketunit import start_with
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RESTARTS = 10
MEDIAN = 1.0  # seconds


@pytest.mark.slow
@pytest.mark.timing
async def test_the_gap_of_a_viewer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/stream"
        config = tmp_path / "config.toml"
        config.write_text(
            f'[gateway]\nstate_dir = "{tmp_path}"\n[[listen]]\nport = 8443\n[[upstream]]\nurls = ["mqtt://127.0.0.1:1"]\n'
        )
        process = start_with(listener, config, "8443")
        gaps, closes = [], []
        try:
            client = await welcomed(url)
            for _ in range(RESTARTS):
                process.send_signal(signal.SIGTERM)
                ended = asyncio.create_task(asyncio.to_thread(process.wait, 20))
                closes.append(await closed(client))
                begun = time.monotonic()
                coming = asyncio.create_task(welcomed(url))
                assert await ended == 0
                process = start_with(listener, config, "8443")
                client = await coming
                gaps.append(time.monotonic() - begun)
            await client.close()
        finally:
            end(process)
    assert closes == [1012] * RESTARTS
    assert statistics.median(gaps) < MEDIAN, gaps


async def welcomed(url: str) -> ClientConnection:
    """A client that has its first word: it waits in the socket's queue while nobody runs."""
    client = await connect(url, compression=None, proxy=None, open_timeout=20)
    assert json.loads(await client.recv())["type"] == "welcome"
    return client


async def closed(client: ClientConnection) -> int | None:
    """Read until the end; its code."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
