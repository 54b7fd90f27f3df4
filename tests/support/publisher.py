"""Publishes to a broker of a test, once or in a rhythm."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


class Publisher:
    """A client of a broker on 127.0.0.1; texts and bytes go out as they are, anything else as JSON."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._port = port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # Only the end of its life closes the pair of sockets by which it wakes its own thread.
        del self._client

    def publish(self, topic: str, payload: Any, *, retain: bool = False) -> None:
        """Returns once the broker has it."""
        data = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        self._client.publish(topic, data, qos=1, retain=retain).wait_for_publish(10)

    def burst(self, topic: str, count: int) -> None:
        """Publishes 0, 1, … as text at QoS 1; returns once the broker has the last."""
        for number in range(count):
            sent = self._client.publish(topic, str(number), qos=1)
        sent.wait_for_publish(60)

    def cast(self, topic: str, payload: Any) -> None:
        """Without waiting, at QoS 0."""
        self._client.publish(topic, json.dumps(payload))

    @contextmanager
    def rhythm(self, rate: float, message: Callable[[int], tuple[str, Any]]) -> Iterator[None]:
        """Publishes `message(0)`, `message(1)`, … at `rate` a second in a thread, as long as the block lasts."""
        stop = threading.Event()

        def run() -> None:
            started = time.monotonic()
            number = 0
            while not stop.is_set():
                self.cast(*message(number))
                number += 1
                late = started + number / rate - time.monotonic()
                if late > 0.002:
                    stop.wait(late)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
