"""Files are written as a whole or not at all: a disk that is full leaves none behind that is empty or half."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def write_whole(
    path: Path,
    data: bytes,
    mode: int,
    *,
    user: int = -1,
    group: int = -1,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Replace the file at `path`; it is never readable by more than `mode`. Written by root it gets `user` and `group`.

    `ready` is called when nothing but the last step is left. Raises OSError with `path` as its file; then what was
    there before still is.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), user, group)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        ready()
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        error.filename = str(path)
        raise
