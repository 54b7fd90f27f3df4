"""`backup` and `restore`: configuration, certificates, tokens, reserved offsets and the history, in one file.

The gateway may run while a backup is made. After a restore offsets begin a new epoch: what came after the backup may
have used the same ones, and no client may take the one for the other.
"""

import contextlib
import io
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.commands.causes import denied
from gateway.commands.running import sockets
from gateway.config import Config, load
from gateway.edge.rules import tokens_of
from gateway.errors import GatewayError
from gateway.logs import offsets
from gateway.operations.control import Denied, ask
from gateway.whole import write_whole

_MARK = "sensor-gateway-backup"
_FORMAT = b"1\n"


def backup(config: Config, path: Path | None, target: Path) -> Iterator[str]:
    """Write everything into `target` (tar, gzip, 0600); lines to print. Raises GatewayError."""
    if target.exists() and not target.is_file():
        # It would be replaced: a folder cannot be, and a device had better not.
        raise GatewayError(f"{target} is no file: name one to write the backup to")
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
        with contextlib.suppress(OSError):  # where nothing can be written nothing can be removed
            temporary.unlink(missing_ok=True)
        raise GatewayError(f"backup failed, nothing was written: {_reason(error, target)}") from None
    for outside in _outside(config, path):
        yield f"not in it, put it back yourself: {outside}"
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
        for file in _named(config):
            if file.is_relative_to(folder) and file.parent != folder / "tls" and file.is_file():
                yield f"config/{file.relative_to(folder)}", file
    tokens = tokens_of(config).path
    for name, file in (
        (f"state/{tokens.name}", tokens),
        (f"state/{offsets.NAME}", config.gateway.state_dir / offsets.NAME),
    ):
        if file.exists():
            yield name, file
    if config.history.disk is not None and config.history.disk.exists():
        yield f"state/{config.history.disk.name}", config.history.disk


def _named(config: Config) -> list[Path]:
    """The certificates, keys and secrets that a configuration names, each once."""
    structs: list[msgspec.Struct | None] = [*(listen.tls for listen in config.listen), config.auth.jwt]
    for upstream in config.upstream:
        structs += [upstream, upstream.tls]
    structs += [config.history.jetstream, config.history.jetstream.tls]
    values = (value for struct in structs if struct is not None for value in msgspec.structs.asdict(struct).values())
    return list(dict.fromkeys(value for value in values if isinstance(value, Path)))


def _outside(config: Config, path: Path | None) -> list[Path]:
    """Those that lie elsewhere: an ACME client's, or credentials that systemd passes on."""
    folder = path.absolute().parent if path is not None else None
    return [file for file in _named(config) if folder is None or not file.is_relative_to(folder)]


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return denied(error, path)
    return f"{path}: {error}"


def _add_history(tar: tarfile.TarFile, name: str, source: Path) -> Iterator[str]:
    """A copy of the database as it stands between two transactions (SQLite's backup API), the gateway may write on."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        copy = Path(folder) / "copy"
        reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        writing = sqlite3.connect(copy)
        try:
            # In one step: between two of them the gateway may commit, and SQLite would begin from the start each time.
            reading.backup(writing)
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
    except Denied:
        raise  # one runs, and may be asked by others
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
        raise GatewayError(f"restore failed: {_reason(error, source)}") from None
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
    """Where a file of the configuration belongs: in its folder, as deep as the configuration names it there."""
    path = _inside(member, "config")
    return None if path is None else folder / path


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
    before = target.stat() if target.exists() else target.parent.stat()

    def put_aside() -> None:
        # The log of another database must never be played into this one.
        for ending in ("", "-wal", "-shm"):
            old = target.with_name(target.name + ending)
            if old.exists():
                os.replace(old, target.with_name(f"{target.name}{ending}.before-restore"))

    write_whole(target, data, mode, user=before.st_uid, group=before.st_gid, ready=put_aside)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(data))
