"""`backup` and `restore`: configuration, certificates, tokens, reserved offsets and the history, in one file.

The gateway may run while a backup is made. After a restore offsets begin a new epoch: what came after the backup may
have used the same ones, and no client may take the one for the other.
"""

import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.commands.running import sockets
from gateway.config import Config
from gateway.edge.rules import tokens_of
from gateway.errors import GatewayError
from gateway.logs import offsets
from gateway.operations.control import ask

_MARK = "sensor-gateway-backup"
_FORMAT = b"1\n"


def backup(config: Config, path: Path | None, target: Path) -> Iterator[str]:
    """Write everything into `target` (tar, gzip, 0600); lines to print. Raises GatewayError."""
    temporary = target.with_name(f".{target.name}.new")
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            _add_bytes(tar, _MARK, _FORMAT)
            for name, source in _sources(config, path):
                if source == config.history.disk:
                    yield from _add_history(tar, name, source)
                else:
                    tar.add(source, name, recursive=False)
                    yield f"  {source}"
        os.replace(temporary, target)
    except (OSError, sqlite3.Error) as error:
        temporary.unlink(missing_ok=True)
        raise GatewayError(f"backup failed, nothing was written: {error}") from None
    yield f"wrote {target}, {target.stat().st_size:,} bytes; it holds keys and tokens: keep it as you keep those"


def _sources(config: Config, path: Path | None) -> Iterator[tuple[str, Path]]:
    """Name in the archive and file; configuration under config/, state under state/."""
    if path is not None and path.exists():
        folder = path.absolute().parent
        yield "config/" + path.name, path.absolute()
        for piece in sorted((folder / "conf.d").glob("*.toml")):
            yield f"config/conf.d/{piece.name}", piece
        for file in sorted((folder / "tls").glob("*")):
            if file.is_file():
                yield f"config/tls/{file.name}", file
        for upstream in config.upstream:
            if upstream.password_file is not None and upstream.password_file.parent == folder:
                yield f"config/{upstream.password_file.name}", upstream.password_file
    tokens = tokens_of(config).path
    for name, file in (
        (f"state/{tokens.name}", tokens),
        (f"state/{offsets.NAME}", config.gateway.state_dir / offsets.NAME),
    ):
        if file.exists():
            yield name, file
    if config.history.disk is not None and config.history.disk.exists():
        yield f"state/{config.history.disk.name}", config.history.disk


def _add_history(tar: tarfile.TarFile, name: str, source: Path) -> Iterator[str]:
    """A copy of the database as it stands between two transactions (SQLite's backup API), the gateway may write on."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        copy = Path(folder) / "copy"
        reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        writing = sqlite3.connect(copy)
        try:
            reading.backup(writing, pages=1024)
        finally:
            writing.close()
            reading.close()
        tar.add(copy, name)
    yield f"  {source} (history)"


def restore(config: Config, path: Path, source: Path) -> Iterator[str]:
    """Put everything from `source` back, the gateway must not run; lines to print. Raises GatewayError.

    What is there already is kept beside it, with the ending `.before-restore`.
    """
    try:
        ask(sockets(path), {"do": "status"})
    except GatewayError:
        pass  # nobody answers: good
    else:
        raise GatewayError("the gateway runs: systemctl stop sensor-gateway, then restore")
    folder, state = path.absolute().parent, config.gateway.state_dir
    try:
        with tarfile.open(source, "r:gz") as tar:
            names = tar.getnames()
            if _MARK not in names:
                raise GatewayError(f"{source} is no backup of a sensor-gateway")
            for member in tar.getmembers():
                target = _target(member, folder, state, config)
                if target is None:
                    continue
                content = tar.extractfile(member)
                assert content is not None
                _put_back(target, content.read(), member.mode & 0o777)
                yield f"  {target}"
        offsets.renew(state)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise GatewayError(f"restore failed: {error}") from None
    yield "restored; clients will see a new epoch and take a snapshot. Now: systemctl start sensor-gateway"


def _target(member: tarfile.TarInfo, folder: Path, state: Path, config: Config) -> Path | None:
    """Where a member belongs; None for what is none of ours: names in an archive are never taken at their word."""
    top, _, rest = member.name.partition("/")
    parts = Path(rest).parts
    if not member.isreg() or not parts or ".." in parts or Path(rest).is_absolute():
        return None
    if top == "config" and (len(parts) == 1 or (len(parts) == 2 and parts[0] in ("conf.d", "tls"))):
        return folder / rest
    if top == "state" and len(parts) == 1:
        disk, tokens = config.history.disk, tokens_of(config).path
        special = {each.name: each for each in (disk, tokens) if each is not None}
        return special.get(rest, state / rest)
    return None


def _put_back(target: Path, data: bytes, mode: int) -> None:
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    if target.exists():
        before = target.stat()
        os.replace(target, target.with_name(f"{target.name}.before-restore"))
    else:
        before = target.parent.stat()
    for ending in ("-wal", "-shm"):
        # The log of another database must never be played into this one.
        companion = target.with_name(target.name + ending)
        if companion.exists():
            os.replace(companion, target.with_name(f"{target.name}{ending}.before-restore"))
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        if os.geteuid() == 0:
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(data)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(data))
