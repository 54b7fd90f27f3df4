"""Fills in what the file leaves to the machine: paths, names and ids."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gateway.config.model import DEFAULT_STATE_DIR, Config, History, Upstream
from gateway.config.rows import Table, Tables, keys

T = TypeVar("T", bound=msgspec.Struct)

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def resolve(config: Config, folder: Path, environ: Mapping[str, str]) -> Config:
    """Make every path absolute and every empty name a real one.

    Relative paths start at `folder`, that of the configuration file; a bare name that systemd has put into
    `$CREDENTIALS_DIRECTORY` is taken from there; `history.disk` starts at the state folder.
    """
    state_dir = config.gateway.state_dir
    given = environ.get("STATE_DIRECTORY", "")
    if not config.written.has("gateway.state_dir"):
        # systemd gives a list where the unit names several (systemd.exec(5)).
        state_dir = Path(given.split(":")[0]) if given else DEFAULT_STATE_DIR
    disk = config.history.disk
    state_dir = folder / state_dir
    config = _absolute(replace(config, history=replace(config.history, disk=None)), folder, environ)
    log = config.history.log
    if log == "auto":
        log = "sqlite" if disk else "memory"
    history: History = replace(config.history, disk=disk and state_dir / disk, log=log)
    machine = machine_id()
    return replace(
        config,
        gateway=replace(config.gateway, name=config.gateway.name or host_name(), state_dir=state_dir),
        upstream=tuple(_identified(upstream, machine, shared=log == "jetstream") for upstream in config.upstream),
        history=history,
    )


def _identified(upstream: Upstream, machine: str, *, shared: bool) -> Upstream:
    ingest = upstream.ingest
    if ingest == "auto":
        ingest = "one" if shared else "own"
    # One id on all gateways that take turns, so that the broker hands the session over from one to the next.
    client_id = upstream.client_id or default_client_id(upstream.name, "" if ingest == "one" else machine)
    return replace(upstream, client_id=client_id, ingest=ingest)


def _absolute(struct: T, folder: Path, environ: Mapping[str, str]) -> T:
    changes: dict[str, object] = {}
    for name, key in keys(type(struct)).items():
        value = getattr(struct, name)
        if isinstance(value, Path):
            changes[name] = _find(value, folder, environ)
        elif isinstance(key.row.kind, Table) and value is not None:
            changes[name] = _absolute(value, folder, environ)
        elif isinstance(key.row.kind, Tables):
            changes[name] = tuple(_absolute(item, folder, environ) for item in value)
    return replace(struct, **changes)


def _find(path: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials and len(path.parts) == 1 and (Path(credentials) / path).exists():
        return Path(credentials) / path
    return folder / path


def default_client_id(name: str, machine: str) -> str:
    """The MQTT client id of the upstream `name` on the machine with this id: stable, so that the session is found."""
    return f"sensor-gateway-{name}-{machine[:8]}".removesuffix("-")


def machine_id() -> str:
    """The machine's id, 32 hex digits (machine-id(5)); where there is none, digits made from the host name."""
    for path in _MACHINE_ID_FILES:
        try:
            text = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue  # a container or a box before its first boot: the next source is as good
        if re.fullmatch("[0-9a-f]{32}", text):
            return text
    return os.uname().nodename.encode().hex().ljust(32, "0")[:32]


def host_name() -> str:
    """The machine's name without its domain, with only characters that a name may have."""
    name = re.sub("[^A-Za-z0-9_-]", "-", os.uname().nodename.split(".")[0])[:64].lstrip("_-")
    return name or "sensor-gateway"
