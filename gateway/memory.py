"""The memory contract: how one budget is divided among everything that is bounded in bytes.

The base is taken off first. Of the rest each part has its share; a size written in the file is taken at its word,
and where the written ones leave less than the shares, the shares of the others shrink together. Only what a file
says can be refused.
"""

import os
import re
from pathlib import Path

import msgspec

from gateway.config import Config, ConfigError, Problem
from gateway.units import format_percent, format_size

BASE = 30 * 1024**2
"""Interpreter, asyncio, ssl and the libraries, measured."""

PER_CONNECTION = 24 * 1024
"""An idle WSS client: the bound that the project holds itself to, in bytes."""

MOST_AUTO_CONNECTIONS = 1000

_MIB = 1024**2
_AUTO_BUDGET = 256 * _MIB
_AUTO_CGROUP_SHARE = 0.7
_SHARES = {"history": 0.20, "last_values": 0.20, "outboxes": 0.15, "kernel": 0.15, "connections": 0.30}
# Less than this of a part is not a gateway any more; on a box that is too small it is taken all the same.
_LEAST = {
    "history": _MIB,
    "last_values": _MIB,
    "outboxes": _MIB,
    "kernel": _MIB,
    "connections": 10 * PER_CONNECTION,
}
# cgroup v1 says "no limit" by a number near 2**63.
_UNLIMITED = 1 << 60


class MemoryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What each part may take, in bytes; `connections` is a number of clients, at `PER_CONNECTION` each.

    `outboxes` bounds what waits for clients, a batch shared by many counted once; `kernel` what their sockets hold.
    `source` says in words where the budget comes from.
    """

    budget: int
    source: str
    history: int
    last_values: int
    outboxes: int
    kernel: int
    connections: int

    @property
    def total(self) -> int:
        """The sum of all bounds; more than `budget` only on a box too small for the least of every part."""
        parts = self.history + self.last_values + self.outboxes + self.kernel
        return BASE + parts + self.connections * PER_CONNECTION

    def __str__(self) -> str:
        parts = {
            "base": BASE,
            "history": self.history,
            "last values": self.last_values,
            "outboxes": self.outboxes,
            "kernel buffers": self.kernel,
            f"{self.connections} connections": self.connections * PER_CONNECTION,
        }
        shares = ", ".join(f"{name} {format_size(size)}" for name, size in parts.items())
        tight = "" if self.total <= self.budget else f", {format_size(self.total - self.budget)} more than there is"
        return f"{format_size(self.budget)} ({self.source}): {shares}{tight}"


def resolve_memory(config: Config, cgroup_limit: int | None, total_ram: int) -> MemoryPlan:
    """Divide the budget. Both limits are bytes; `cgroup_limit` is None without one.

    Raises `ConfigError` when what the file asks for cannot fit, with the numbers.
    """
    budget, source = _budget(config, cgroup_limit, total_ram)
    written = {
        "history": ("history.memory", config.history.memory),
        "last_values": ("limits.last_values_memory", config.limits.last_values_memory),
        "outboxes": ("backpressure.total", config.backpressure.total),
        "connections": (
            "limits.connections",
            None if config.limits.connections is None else config.limits.connections * PER_CONNECTION,
        ),
    }
    fixed = {part: (key, size) for part, (key, size) in written.items() if size is not None}
    open_parts = [part for part in _SHARES if part not in fixed]
    left = budget - BASE - sum(size for _, size in fixed.values())
    least = sum(_LEAST[part] for part in open_parts)
    if left < least and (fixed or config.gateway.memory_budget is not None):
        raise ConfigError(_refusals(config, budget, source, fixed, least))
    sizes = {part: size for part, (_, size) in fixed.items()}
    weight = sum(_SHARES[part] for part in open_parts)
    # What would get less than it needs gets that, and the others share what is left then.
    while short := [part for part in open_parts if left * _SHARES[part] < _LEAST[part] * weight]:
        for part in short:
            sizes[part] = _LEAST[part]
            left -= _LEAST[part]
            open_parts.remove(part)
        weight = sum(_SHARES[part] for part in open_parts)
    for part in open_parts:
        share = min((budget - BASE) * _SHARES[part], left * _SHARES[part] / weight)
        sizes[part] = max(int(share), _LEAST[part])  # a division that rounds down may miss it by a byte
    connections = config.limits.connections
    return MemoryPlan(
        budget=budget,
        source=source,
        history=sizes["history"],
        last_values=sizes["last_values"],
        outboxes=sizes["outboxes"],
        kernel=sizes["kernel"],
        connections=connections or min(sizes["connections"] // PER_CONNECTION, MOST_AUTO_CONNECTIONS),
    )


def _budget(config: Config, cgroup_limit: int | None, total_ram: int) -> tuple[int, str]:
    room = total_ram if cgroup_limit is None else min(cgroup_limit, total_ram)
    where = f"the {format_size(total_ram)} of this machine"
    if room != total_ram:
        where = f"the cgroup's limit of {format_size(room)}"
    asked = config.gateway.memory_budget
    if isinstance(asked, float):
        return int(room * asked), f"{format_percent(asked)} of {where}"
    if asked is not None:
        if asked > room:
            message = f"{format_size(asked)} is more than {where}, expected at most {format_size(room)}"
            raise ConfigError([_problem(config, "gateway.memory_budget", message)])
        return asked, "as written"
    if room != total_ram:
        return int(room * _AUTO_CGROUP_SHARE), f"{format_percent(_AUTO_CGROUP_SHARE)} of {where}"
    if total_ram // 4 < _AUTO_BUDGET:
        return total_ram // 4, f"a quarter of {where}"
    return _AUTO_BUDGET, "the most that is taken unasked"


def _refusals(config: Config, budget: int, source: str, fixed: dict[str, tuple[str, int]], least: int) -> list[Problem]:
    asked = sum(size for _, size in fixed.values())
    numbers = (
        f"the budget of {format_size(budget)} ({source}) less the base of {format_size(BASE)} leaves "
        f"{format_size(max(budget - BASE, 0))}; the file asks for {format_size(asked)} of it and the rest needs "
        f"{format_size(least)}"
    )
    hint = f"expected less here, or a memory_budget of at least {format_size(BASE + asked + least + _MIB)}"
    if not fixed:
        needed = format_size(BASE + least)
        message = f"{format_size(budget)} is too little, expected at least {needed}: {format_size(BASE)} base and "
        return [_problem(config, "gateway.memory_budget", f"{message}{format_size(least)} for everything else")]
    refused = [
        _problem(config, key, f"{format_size(size)} does not fit: {numbers}, {hint}") for key, size in fixed.values()
    ]
    return sorted(refused, key=lambda problem: (problem.file, problem.line or 0))


def _problem(config: Config, key: str, message: str) -> Problem:
    file, line = config.written.where(key)
    return Problem(file, line, key, message)


def machine_limits(root: Path = Path("/")) -> tuple[int | None, int]:
    """Read the machine's limits in bytes: that of the tightest cgroup around this process or None, and all RAM.

    Knows cgroup v2 (`memory.max`) and v1 (`memory.limit_in_bytes`); `root` is where /proc and /sys are found.
    """
    total = _total_ram(root)
    limits = []
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        # hierarchy-ID:controllers:path (cgroups(7)); v2 has the id 0 and no controllers.
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            limits += _limits_up(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_up(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(limits, default=None), total


def _total_ram(root: Path) -> int:
    try:
        meminfo = (root / "proc/meminfo").read_text("ascii")
    except FileNotFoundError:
        # Hidden by ProcSubset=pid (systemd.exec(5)): the C library asks the kernel by sysinfo(2).
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    total = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    if total is None:
        raise OSError(f"{root / 'proc/meminfo'} has no MemTotal")
    return int(total.group(1)) * 1024


def _limits_up(mount: Path, path: str, name: str) -> list[int]:
    """The limits of a cgroup and all those around it: a parent's binds as well."""
    folder = mount / path.lstrip("/")
    found = []
    while True:
        try:
            text = (folder / name).read_text("ascii").strip()
        except OSError:
            text = "max"  # the root has no such file, and a namespace may hide the outer ones
        if text.isdigit() and int(text) < _UNLIMITED:
            found.append(int(text))
        if folder == mount or mount not in folder.parents:
            return found
        folder = folder.parent
