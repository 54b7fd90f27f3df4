"""The gateway under a broker that comes and goes, for a long time: nothing lost, nothing leaked.

    python benchmarks/flapping.py [SECONDS]        (600 by default)

A real Mosquitto with persistence is stopped and started all the time, or frozen; a publisher sends QoS 1 messages
without a pause, and again what the broker did not confirm; a viewer collects them all from the real daemon. Passes when
every confirmed message reached the viewer, the daemon's memory rose by less than 1 MiB a minute over the last four
fifths of the time, and its descriptors are as many as at the start.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.mqttpublisher import MqttPublisher
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

RATE = 100
SLOPE_LIMIT = 1024.0  # KiB a minute
CONFIG = """
[[upstream]]
urls = ["mqtt://127.0.0.1:BROKER"]
client_id = "flapping"
keepalive = "3s"
session_expiry = "1h"
backoff = { min = "100ms", max = "1s" }
topics = [{ filter = "soak/#", qos = 1 }]
[history]
memory = "1 MiB"  # full soon: what rises after that is a leak
"""


class Publisher(threading.Thread):
    """Publishes running numbers; `confirmed` is how many the broker has."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.confirmed = 0
        self.over = threading.Event()
        self._port = port

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self._publish()
            except (OSError, AssertionError):
                self.over.wait(0.1)  # the broker is away: the number that it did not confirm goes first again

    def _publish(self) -> None:
        publisher = MqttPublisher(self._port)
        try:
            while not self.over.wait(1 / RATE):
                publisher.publish(f"soak/{self.confirmed % 50}", str(self.confirmed), qos=1)
                self.confirmed += 1
        finally:
            publisher.close()


class Viewer(threading.Thread):
    """Collects the numbers that the gateway streams, over one connection that must last."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.numbers: set[int] = set()
        self.states: list[str] = []
        self.gaps = 0
        self.over = threading.Event()
        self.sees_broker = threading.Event()
        self.failure = ""
        self._url = f"{url}?topic=soak/%23"

    def run(self) -> None:
        try:
            with connect(self._url, max_size=None, proxy=None) as connection:
                while not self.over.is_set():
                    try:
                        self._take(json.loads(connection.recv(timeout=0.5)))
                    except TimeoutError:
                        continue  # the broker is away
        except ConnectionClosed as closed:
            self.failure = f"the gateway closed the viewer's connection: {closed}"

    def _take(self, event: dict[str, object]) -> None:
        kind = event.get("type")
        if kind == "message":
            self.numbers.add(int(str(event["data"])))
        elif kind == "upstream":
            self.states.append(str(event["state"]))
        elif kind == "gap":
            self.gaps += 1
        if kind in ("welcome", "upstream") and '"connected"' in json.dumps(event):
            self.sees_broker.set()


def resident(pid: int) -> int:
    """KiB of memory in use."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def slope(samples: list[tuple[float, int]]) -> float:
    """KiB a minute, by least squares."""
    middle_time = sum(at for at, _ in samples) / len(samples)
    middle_size = sum(size for _, size in samples) / len(samples)
    above = sum((at - middle_time) * (size - middle_size) for at, size in samples)
    below = sum((at - middle_time) ** 2 for at, _ in samples)
    return above / below * 60 if below else 0.0


def flap(broker: Mosquitto, chance: random.Random) -> None:
    """One fault of the broker, and its end."""
    away = chance.uniform(0.2, 3)
    if chance.random() < 0.7:
        broker.stop()
        time.sleep(away)
        broker.start()
    else:
        broker.suspend()
        time.sleep(away * 2)
        broker.resume()


def soak(seconds: float) -> int:
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        broker = Mosquitto(persistence_dir=folder, config="max_queued_messages 0\nautosave_interval 1")
        with broker, Daemon(CONFIG.replace("BROKER", str(broker.port))) as daemon:
            publisher, viewer = Publisher(broker.port), Viewer(daemon.url)
            viewer.start()
            if not viewer.sees_broker.wait(20):
                print("the gateway does not reach its broker")
                return 1
            publisher.start()
            time.sleep(2)
            at_start = descriptors(daemon.pid)
            samples: list[tuple[float, int]] = []
            faults, begin = 0, time.monotonic()
            while (now := time.monotonic() - begin) < seconds:
                flap(broker, chance)
                faults += 1
                end = time.monotonic() + chance.uniform(1, 4)
                while time.monotonic() < end:
                    time.sleep(0.5)
                    samples.append((time.monotonic() - begin, resident(daemon.pid)))
                if faults % 10 == 0:
                    print(
                        f"{now:5.0f} s: {faults} faults, {len(viewer.numbers)} messages, {samples[-1][1]} KiB",
                        flush=True,
                    )
            publisher.over.set()
            publisher.join()
            settled = time.monotonic() + 20
            while len(viewer.numbers) < publisher.confirmed and time.monotonic() < settled:
                time.sleep(0.1)
            held = at_start, descriptors(daemon.pid)
            viewer.over.set()
            viewer.join()
    return report(publisher, viewer, [sample for sample in samples if sample[0] >= seconds / 5], faults, held)


def report(
    publisher: Publisher, viewer: Viewer, samples: list[tuple[float, int]], faults: int, held: tuple[int, int]
) -> int:
    rise = slope(samples)
    missing = publisher.confirmed - len(viewer.numbers & set(range(publisher.confirmed)))
    print(f"{faults} faults; {publisher.confirmed} messages confirmed, {missing} missing")
    print(f"memory over the last four fifths: {samples[0][1]} to {samples[-1][1]} KiB, {rise:+.0f} KiB a minute")
    print(f"descriptors: {held[0]} at the start, {held[1]} at the end")
    print(f"told to the viewer: {len(viewer.states)} changes of state, {viewer.gaps} gaps")
    verdicts = {
        "messages are missing": missing > 0,
        "memory rises": rise > SLOPE_LIMIT,
        "descriptors leak": held[1] > held[0],
        viewer.failure: bool(viewer.failure),
    }
    failed = [name for name, bad in verdicts.items() if bad]
    print("FAILED: " + ", ".join(failed) if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(soak(float(sys.argv[1]) if len(sys.argv) > 1 else 600))
