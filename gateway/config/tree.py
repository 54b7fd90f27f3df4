"""The merged TOML of all files, every value with the file and line it was written in."""

import re
from collections.abc import Iterator

import msgspec

from gateway.config.positions import Path

_LAST_STEP = re.compile(r"(?:\.[^.\[]+|\[\d+\]|^[^.\[]+)$")


class Node(msgspec.Struct):
    """A TOML value: tables hold nodes by key, arrays hold nodes, everything else is the plain value."""

    value: object
    file: str
    line: int | None


def locate(value: object, file: str, lines: dict[Path, int], path: Path = ()) -> Node:
    """Turn what tomli returned into nodes; `lines` comes from `key_lines` of the same document."""
    if isinstance(value, dict):
        value = {key: locate(item, file, lines, (*path, key)) for key, item in value.items()}
    elif isinstance(value, list):
        value = [locate(item, file, lines, (*path, index)) for index, item in enumerate(value)]
    return Node(value, file, lines.get(path))


def merge(base: Node, extra: Node) -> Node:
    """Lay `extra` over `base`: tables by key, arrays of tables appended, anything else replaced."""
    if isinstance(base.value, dict) and isinstance(extra.value, dict):
        merged = dict(base.value)
        for key, node in extra.value.items():
            merged[key] = merge(merged[key], node) if key in merged else node
        return Node(merged, base.file, base.line)
    if _holds_tables(base) and _holds_tables(extra):
        assert isinstance(base.value, list)
        assert isinstance(extra.value, list)
        return Node(base.value + extra.value, base.file, base.line)
    return extra


def _holds_tables(node: Node) -> bool:
    return isinstance(node.value, list) and bool(node.value) and all(isinstance(i.value, dict) for i in node.value)


def path_text(path: Path) -> str:
    """Write a path as people read it: `listen[0].tls.key`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Written:
    """Which keys the files set, and where.

    Equal to every other one: a reload compares what was said, not on which line.
    """

    def __init__(self, root: Node) -> None:
        self._places: dict[str, tuple[str, int | None]] = {
            path_text(path): (node.file, node.line) for path, node in _walk(root, ())
        }

    def has(self, key: str) -> bool:
        """True when a file sets `key`, written like `listen[0].port`."""
        return key in self._places

    def where(self, key: str) -> tuple[str, int | None]:
        """File and line of `key`, else of the nearest table around it that is written."""
        while key and key not in self._places:
            key = _LAST_STEP.sub("", key)
        return self._places[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written)

    def __hash__(self) -> int:
        return hash(Written)

    def __repr__(self) -> str:
        return f"<{len(self._places)} places>"


def _walk(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    yield path, node
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            yield from _walk(item, (*path, key))
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index))
