"""Where the gateway on a configuration file answers, whatever that file says by now: looked up in the kernel's list.

A file that cannot be read any more, or names another `state_dir` than the gateway was started with, leads nowhere.
"""

import os
import pwd
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import GatewayError
from gateway.operations.control import NAME, ask

TABLE = Path("/proc/self/net/unix")  # proc(5): every Unix socket of this network namespace, also with ProcSubset=pid
USER = "sensor-gateway"
PATIENCE = 1.0  # seconds; a gateway that does not answer is none that could be asked


def running_on(config: Path, table: Path = TABLE) -> list[Path]:
    """The control sockets of gateways that run on this configuration file: one, or none."""
    return [path for path in bound(table) if runs_on(path, config)]


def bound(table: Path = TABLE) -> Iterator[Path]:
    """Every path of a control socket that is bound."""
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return  # no /proc: what the file says has to do
    # One that listens and each of its connections have the same path.
    found = dict.fromkeys(line.split(maxsplit=7)[-1] for line in lines if line.endswith(f"/{NAME}"))
    yield from (Path(path) for path in found if path.startswith("/"))


def runs_on(path: Path, config: Path) -> bool:
    """Whether a gateway answers at `path` and says that it runs on `config`."""
    told = told_by(path)
    return bool(told) and _is_same(told, config)


def runs_on_another(path: Path, config: Path) -> bool:
    """Whether a gateway answers at `path` and says that it runs on another file than `config`."""
    told = told_by(path)
    return bool(told) and not _is_same(told, config)


def told_by(path: Path) -> str:
    """The configuration file that the gateway at `path` runs on, "" where it has none, or none that we believe
    answers."""
    if not _is_trusted(path):
        return ""
    try:
        return str(ask([path], {"do": "status"}, timeout=PATIENCE).get("config", ""))
    except GatewayError:
        return ""


def _is_trusted(path: Path) -> bool:
    """Whether the listener is the super-user's, our own, or the service's: anybody may bind a path of that name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.connect(str(path))
            _, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return False
    return user in _trusted()


def _trusted() -> set[int]:
    users = {0, os.geteuid()}
    try:
        users.add(pwd.getpwnam(USER).pw_uid)
    except KeyError:
        pass  # not installed as a service
    return users


def _is_same(told: str, config: Path) -> bool:
    try:
        return os.path.samefile(told, config)
    except OSError:
        return Path(told).absolute() == config.absolute()
