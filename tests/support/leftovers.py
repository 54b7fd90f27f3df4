"""What a test left behind: child processes and file descriptors of the test process."""

import gc
import os
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """Child processes (pid: command line) and open descriptors (number: what it is)."""

    processes: dict[int, str]
    descriptors: dict[int, str]


def held() -> Held:
    """What this process holds now."""
    processes = {}
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                processes[int(pid)] = (Path("/proc") / pid / "cmdline").read_text().replace(
                    "\0", " "
                ).strip() or "ended"
            except FileNotFoundError:
                continue  # gone between the two looks
    descriptors = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            descriptors[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # the listing's own
    return Held(processes, descriptors)


def leftovers(before: Held) -> list[str]:
    """One line for each thing held now that was not held `before`."""
    now = held()
    if _new(before, now):
        gc.collect()  # what only a circle of references still holds is not leaked
        now = held()
    return _new(before, now)


def _new(before: Held, now: Held) -> list[str]:
    return [
        *(f"process {pid}: {command}" for pid, command in now.processes.items() if pid not in before.processes),
        *(
            f"descriptor {number}: {what}"
            for number, what in now.descriptors.items()
            if before.descriptors.get(number) != what
        ),
    ]
