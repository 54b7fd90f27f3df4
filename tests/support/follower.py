"""A viewer that goes on where it was, whatever happens to the gateway, and a load to go with it."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from support.mqttpublisher import MqttPublisher
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake


class Follower:
    """Follows `t/#` through all crashes, resuming where it was: numbers, the names they came under, and gaps."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.epoch: str | None = None
        self.offset: int | None = None
        self.numbers: list[int] = []
        self.names: list[tuple[str | None, int]] = []
        self.gaps: list[dict[str, Any]] = []

    async def run(self) -> None:
        while True:
            replay = "none" if self.offset is None else f"{self.epoch}:{self.offset}"
            try:
                url = f"{self.url}?topic=t/%23&replay={replay}"
                # With its queue full the client does not read, and would not see the answer to its goodbye.
                async with connect(url, compression=None, proxy=None, close_timeout=0.5) as client:
                    async for text in client:
                        self.take(msgspec.json.decode(text))
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await asyncio.sleep(0.05)  # it is away; try again

    def take(self, told: dict[str, Any]) -> None:
        if told["type"] == "welcome":
            self.epoch = told["epoch"]
            if self.offset is None:
                self.offset = told["offset"]
        elif told["type"] == "message":
            self.numbers.append(told["data"])
            self.names.append((self.epoch, told["offset"]))
            self.offset = max(self.offset or 0, told["offset"])
        elif told["type"] == "gap":
            self.gaps.append(told)


class Load(threading.Thread):
    """Publishes 0, 1, 2, … at QoS 1, each once the broker has the one before; or at QoS 0, some hundreds a second."""

    def __init__(self, port: int, *, padding: int = 0, qos: int = 1) -> None:
        super().__init__()
        self.port = port
        self.qos = qos
        self.padding = " " * padding
        self.sent = 0
        self.ended = threading.Event()

    def run(self) -> None:
        with MqttPublisher(self.port) as publisher:
            while not self.ended.is_set():
                publisher.publish(f"t/{self.sent % 5}", f"{self.sent}{self.padding}", qos=self.qos)
                self.sent += 1
                self.ended.wait(0.0005)

    def end(self) -> None:
        self.ended.set()
        self.join()


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for another process's doing."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it has no event of this loop
            await asyncio.sleep(0.02)
