"""Decode cost per family: `python benchmarks/decode.py [--check]`.

Each sample payload of the tests that yields readings is decoded many times, by its family's decoder alone and by the
registry (choice of family, decode, device table). Printed are microseconds a message: the median over a family's
samples of each sample's best run. With `--check` the exit code is 1 where the figure of the design (25 µs for Tasmota,
Zigbee2MQTT, Shelly, ESPHome) is missed.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import samples  # noqa: E402

from devices.families import FALLBACKS, FAMILIES, load  # noqa: E402
from devices.reading import Reading  # noqa: E402
from devices.registry import Registry  # noqa: E402

FIGURE = 25.0
HELD_TO_IT = ("tasmota", "zigbee2mqtt", "shelly_gen1", "shelly_gen2", "esphome")
LOOPS, RUNS = 200, 5
TARGETS = {**FAMILIES, **FALLBACKS}


def cost(decode: Callable[[str, bytes, bool, float], list[Reading]], topic: str, payload: bytes) -> float:
    """Microseconds a call, best of five runs."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(LOOPS):
            decode(topic, payload, False, samples.NOW)
        best = min(best, time.perf_counter() - start)
    return best / LOOPS * 1e6


def main() -> int:
    slow = []
    print(f"{'family':16} {'samples':>7} {'bytes':>7} {'decoder':>9} {'registry':>9} {'slowest':>9}   µs a message")
    for family in samples.families():
        if family == "hostile":
            continue
        alone, chosen, sizes = [], [], []
        for sample in samples.load(family):
            if not isinstance(sample["expect"], list) or not sample["expect"] or "accept" in sample:
                continue
            registry, body = Registry(), samples.payload(sample)
            for message in sample.get("context", ()):
                registry.observe(message["topic"], samples.payload(message), True, samples.NOW)
            decoder = load(TARGETS[registry.family(sample["topic"], body)])
            for message in sample.get("context", ()):
                if decoder.claims(message["topic"]):
                    decoder.observe(message["topic"], samples.payload(message), True, samples.NOW)
            alone.append(cost(decoder.decode, sample["topic"], body))
            chosen.append(cost(registry.decode, sample["topic"], body))
            sizes.append(len(body))
        median = statistics.median(alone)
        print(
            f"{family:16} {len(alone):7} {statistics.median(sizes):7.0f} {median:9.1f} "
            f"{statistics.median(chosen):9.1f} {max(alone):9.1f}"
        )
        if family in HELD_TO_IT and median > FIGURE:
            slow.append(family)
    if slow:
        print(f"over {FIGURE:.0f} µs: {', '.join(slow)}")
    return 1 if slow and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
