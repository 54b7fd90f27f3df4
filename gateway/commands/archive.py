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
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.commands.running import sockets
from gateway.config import Config, load
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


def restore(path: Path, source: Path) -> Iterator[str]:
    """Put everything from `source` back, the gateway must not run; lines to print. Raises GatewayError.

    What is there already is kept beside it, with the ending `.before-restore`. The configuration comes first, and what
    is in the backup says where the state belongs: the one at `path` may be broken, or not there on a new box.
    """
    try:
        ask(sockets(path), {"do": "status"})
    except GatewayError:
        pass  # nobody answers: good
    else:
        raise GatewayError("the gateway runs: systemctl stop sensor-gateway, then restore")
    folder = path.absolute().parent
    try:
        with tarfile.open(source, "r:gz") as tar:
            members = {member.name: member for member in tar.getmembers()}
            if _MARK not in members:
                raise GatewayError(f"{source} is no backup of a sensor-gateway")
            for member in members.values():
                if (target := _in_folder(member, folder)) is not None:
                    yield from _put_back(tar, member, target)
            config = _restored(members, folder, path)
            for member in members.values():
                if (target := _in_state(member, config)) is not None:
                    yield from _put_back(tar, member, target)
        offsets.renew(config.gateway.state_dir)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise GatewayError(f"restore failed: {error}") from None
    yield "restored; clients will see a new epoch and take a snapshot. Now: systemctl start sensor-gateway"


def _restored(members: Iterable[str], folder: Path, path: Path) -> Config:
    """The configuration as it is now; where it had another name in the backup, that one."""
    if f"config/{path.name}" not in members:
        others = [Path(name) for name in members if name.startswith("config/") and name.endswith(".toml")]
        path = next((folder / other.name for other in others if len(other.parts) == 2), path)
    try:
        return load(path if path.exists() else None)
    except GatewayError as error:
        raise GatewayError(
            f"{error}\nthe configuration is restored, the state is not: it belongs where a configuration says that is "
            "accepted. Remove what the backup does not hold from conf.d, or take the version that made the backup; "
            "then restore again"
        ) from None


def _inside(member: tarfile.TarInfo, top: str) -> Path | None:
    """Its path below `top`; None for what is none of ours: names in an archive are never taken at their word."""
    above, _, rest = member.name.partition("/")
    path = Path(rest)
    if above != top or not member.isreg() or not path.parts or ".." in path.parts or path.is_absolute():
        return None
    return path


def _in_folder(member: tarfile.TarInfo, folder: Path) -> Path | None:
    """Where a file of the configuration belongs."""
    path = _inside(member, "config")
    if path is None or not (len(path.parts) == 1 or (len(path.parts) == 2 and path.parts[0] in ("conf.d", "tls"))):
        return None
    return folder / path


def _in_state(member: tarfile.TarInfo, config: Config) -> Path | None:
    """Where a file of the state belongs."""
    path = _inside(member, "state")
    if path is None or len(path.parts) != 1:
        return None
    special = {each.name: each for each in (config.history.disk, tokens_of(config).path) if each is not None}
    return special.get(path.name, config.gateway.state_dir / path)


def _put_back(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Iterator[str]:
    content = tar.extractfile(member)
    assert content is not None
    _write(target, content.read(), member.mode & 0o777)
    yield f"  {target}"


def _write(target: Path, data: bytes, mode: int) -> None:
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
