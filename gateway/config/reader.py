"""Reads the configuration file and the pieces beside it in `conf.d`, as one tree that remembers its lines."""

import re
from pathlib import Path

import tomli

from gateway.config.positions import key_lines
from gateway.config.problems import ConfigError, Problem
from gateway.config.tree import Node, locate, merge

_KEY = re.compile(r"\(('[^'()]*'(?:, '[^'()]*')*),?\)")


def read(path: Path) -> Node:
    """Read `path`, then `conf.d/*.toml` beside it in the order of their names, merged.

    Raises `ConfigError` with a problem for every file that cannot be read or is not TOML. A main file that cannot be
    read ends it at once: without it the pieces say nothing.
    """
    problems: list[Problem] = []
    root = _read_file(path, problems)
    if root is None and problems[0].line is None:
        raise ConfigError(problems)
    for piece in _pieces(path.parent / "conf.d", problems):
        node = _read_file(piece, problems)
        if node is not None and root is not None:
            root = merge(root, node)
    if root is None or problems:
        raise ConfigError(problems)
    return root


def _pieces(folder: Path, problems: list[Problem]) -> list[Path]:
    try:
        # Editors leave .name.toml.swp and .#name.toml behind.
        return sorted(p for p in folder.iterdir() if p.suffix == ".toml" and not p.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(Problem(str(folder), None, "", f"cannot be listed: {error.strerror}"))
        return []


def _words(message: str) -> str:
    """What tomli says, with keys as people write them, and of a key that is set twice the reason."""
    if message == "Cannot overwrite a value":
        return "Cannot overwrite a value: the key is set above already"
    return _KEY.sub(lambda found: "[" + found[1].replace("'", "").replace(", ", ".") + "]", message)


def _read_file(path: Path, problems: list[Problem]) -> Node | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.append(Problem(str(path), None, "", f"cannot be read: {error.strerror}, expected a TOML file"))
        return None
    try:
        document = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8, expected a TOML file in UTF-8"
        problems.append(Problem(str(path), line, "", message))
        return None
    try:
        return locate(tomli.loads(document), str(path), key_lines(document))
    except tomli.TOMLDecodeError as error:
        message = f"not TOML: {_words(error.msg)} (column {error.colno})"
        problems.append(Problem(str(path), error.lineno, "", message))
    except RecursionError:
        problems.append(Problem(str(path), 1, "", "tables or arrays nested too deeply"))
    return None
