"""What a test left behind: child processes and file descriptors of the test process."""

import gc
import os
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """Child processes (pid: command line) and open descriptors (number: what it is)."""

    processes: dict[int, str]
    descriptors: dict[int, str]


def children(pid: int | str = "self") -> list[int]:
    """The children of a process, those included that ended and that it has not waited for."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended between the two looks
    return found


def held() -> Held:
    """What this process holds now."""
    processes = {}
    for pid in children():
        try:
            processes[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() or "ended"
        except (FileNotFoundError, ProcessLookupError):
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
