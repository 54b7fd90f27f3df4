"""Turns the tree that was read into the structs of the model, leaf by leaf, so that no mistake hides another."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.config.leaf import Leaf, Many, describe
from gateway.config.model import Config
from gateway.config.positions import Path
from gateway.config.report import Report
from gateway.config.rows import Key, Table, Tables, keys
from gateway.config.tree import Node, path_text

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WRONG = object()


def convert(root: Node, environ: Mapping[str, str], report: Report) -> Config:
    """Build the configuration from `root`; what is wrong goes to `report`, and its default takes its place."""
    config = _Converter(environ, report).table(root, Config, ())
    assert isinstance(config, Config)
    return config


class _Converter:
    def __init__(self, environ: Mapping[str, str], report: Report) -> None:
        self._environ = environ
        self._report = report

    def table(self, node: Node, model: type[msgspec.Struct], path: Path) -> msgspec.Struct:
        """Convert one table; `node` holds a dict."""
        assert isinstance(node.value, dict)
        rows = keys(model)
        values: dict[str, Any] = {}
        for name, item in node.value.items():
            inner = (*path, name)
            if name not in rows:
                self._unknown(rows, path, name)
            else:
                value = self._value(item, rows[name], inner)
                if value is not _WRONG:
                    values[name] = value
        for name, key in rows.items():
            if key.required and name not in values:
                if name not in node.value:
                    self._report.wrong((*path, name), f"is missing, expected {_expected(key)}")
                values[name] = key.row.kind.blank if isinstance(key.row.kind, Leaf) else None
        return model(**values)

    def _unknown(self, rows: Mapping[str, Key], path: Path, name: str) -> None:
        from difflib import get_close_matches  # only a mistake pays for it

        near = get_close_matches(name, rows, n=1)
        if near:
            if not self._report.has((*path, near[0])):
                self._report.distrust((*path, near[0]))
            hint = f'did you mean "{near[0]}"?'
        else:
            elsewhere = [key for key in _all_keys(Config) if key.rsplit(".", 1)[-1] == name]
            hint = f"did you mean {elsewhere[0]}?" if elsewhere else f"expected one of: {', '.join(rows)}"
        self._report.wrong((*path, name), f"unknown key, {hint}")

    def _value(self, node: Node, key: Key, path: Path) -> Any:
        match key.row.kind:
            case Table(model):
                if isinstance(node.value, dict):
                    return self.table(node, model, path)
                self._wrong_shape(node, key, path)
                return _WRONG
            case Tables(model):
                return self._tables(node, model, key, path)
            case leaf:
                return self._leaf(node, leaf, path)

    def _tables(self, node: Node, model: type[msgspec.Struct], key: Key, path: Path) -> Any:
        if not isinstance(node.value, list):
            self._wrong_shape(node, key, path)
            return _WRONG
        if not node.value and key.default:
            # The default is not empty: nobody could tell whether it or nothing is wanted.
            self._report.wrong(path, f"the list is empty, expected {_expected(key, path)}, or no such key")
            return _WRONG
        tables = []
        for index, item in enumerate(node.value):
            if isinstance(item.value, dict):
                tables.append(self.table(item, model, (*path, index)))
            else:
                self._wrong_shape(item, key, (*path, index))
        # A list with a hole would shift the numbers of those behind it.
        return tuple(tables) if len(tables) == len(node.value) else _WRONG

    def _wrong_shape(self, node: Node, key: Key, path: Path) -> None:
        what = describe(node.value)
        self._report.wrong(path, f"{what} is of the wrong kind, expected {_expected(key, path)}")

    def _leaf(self, node: Node, leaf: Leaf, path: Path) -> Any:
        reference = _REFERENCE.fullmatch(node.value) if isinstance(node.value, str) else None
        if reference is not None:
            return self._from_environment(reference.group(1), leaf, path)
        try:
            value: Any = leaf.parse(node.value)
        except ValueError as error:
            self._report.wrong(path, f"{error}, expected {leaf.expected}")
            return _WRONG
        if not isinstance(leaf, Many):
            return value
        if not isinstance(node.value, list):  # one value without brackets
            single = self._leaf(node, leaf.item, path)
            return _WRONG if single is _WRONG else (single,)
        items = [self._leaf(item, leaf.item, (*path, index)) for index, item in enumerate(node.value)]
        return _WRONG if _WRONG in items else tuple(items)

    def _from_environment(self, name: str, leaf: Leaf, path: Path) -> Any:
        text = self._environ.get(name)
        if text is None:
            self._report.wrong(path, f"the environment has no {name}, expected it to hold {leaf.expected}")
            return _WRONG
        try:
            value = leaf.parse(leaf.from_text(text))
            return tuple(leaf.item.parse(item) for item in value) if isinstance(leaf, Many) else value
        except ValueError:
            # What the environment holds may be a secret: it is never repeated.
            self._report.wrong(path, f"the value of {name} in the environment is wrong, expected {leaf.expected}")
            return _WRONG


def _schema_path(path: Path) -> str:
    return path_text(tuple(step for step in path if isinstance(step, str)))


def _expected(key: Key, path: Path = ()) -> str:
    match key.row.kind:
        case Table():
            return f"a table: [{_schema_path(path)}]" if len(path) == 1 else f"a table: {key.name} = {{...}}"
        case Tables():
            name = _schema_path(path)
            return f"[[{name}]] in double brackets" if len(path) <= 2 and "." not in name else f"{key.name} = [{{...}}]"
        case leaf:
            return leaf.expected


def _all_keys(model: type[msgspec.Struct], prefix: str = "") -> list[str]:
    found = []
    for name, key in keys(model).items():
        path = f"{prefix}{name}"
        found.append(path)
        if isinstance(key.row.kind, Table | Tables):
            found += _all_keys(key.row.kind.model, f"{path}.")
    return found
