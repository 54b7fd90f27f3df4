"""Throws broken bytes at everything that takes bytes from strangers, for as long as it is told.

usage: fuzz.py SECONDS [TARGET]

Prints rounds per target. Each finding is printed with its traceback and kept in `fuzz-findings/`; the exit status is 1
where there is one.
"""

import logging
import random
import sys
import time
import traceback
from hashlib import sha256
from pathlib import Path

from support.fuzztargets import TARGETS, Target, run

FINDINGS = Path("fuzz-findings")
PER_TARGET = 3  # more of one target are mostly the same


def fuzz(target: Target, seconds: float, seed: int) -> int:
    """Findings of one target."""
    rng = random.Random(seed)
    rounds = findings = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and findings < PER_TARGET:
        rounds += 1
        found = run(target, rng)
        if found is None:
            continue
        findings += 1
        FINDINGS.mkdir(exist_ok=True)
        file = FINDINGS / f"{target.name.replace(' ', '-')}-{sha256(found).hexdigest()[:12]}"
        file.write_bytes(found)
        print(f"{target.name}: {file}")
        try:
            target.feed(found)
        except Exception:  # the finding itself, shown
            traceback.print_exc(file=sys.stdout)
    print(f"{target.name}: {rounds:,} rounds, {findings} findings", flush=True)
    return findings


def main() -> None:
    seconds = float(sys.argv[1])
    wanted = [target for target in TARGETS if len(sys.argv) < 3 or target.name == sys.argv[2]]
    logging.disable()  # what is dropped is said there, thousands of times
    seed = time.time_ns()
    print(f"seed {seed}")
    findings = sum(fuzz(target, seconds / len(wanted), seed) for target in wanted)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
