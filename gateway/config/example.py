"""Writes `config.example.toml` from the model: `python -m gateway.config.example > config.example.toml`.

The file as it stands says nothing but the defaults, and so does each of its lines with the first `#` taken off.
Keys whose feature does not work yet are left out.
"""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.config.leaf import Leaf
from gateway.config.model import Config
from gateway.config.rows import Key, Table, Tables, keys

_HEAD = """\
# sensor-gateway: every key of the configuration, with its default behind a "#" and a line of help.
# Without any file the gateway follows mqtt://127.0.0.1:1883 and serves http://127.0.0.1:8880/ to this machine alone.
#
# Times are written "250ms", "20s", "1h30m", sizes "512 B", "64 KiB", "2 MiB". A text that is "${NAME}" and nothing
# else is taken from the environment. Relative paths start at this file's folder. Pieces in conf.d/*.toml beside it
# are read after it in the order of their names: tables are merged, [[lists]] get longer. Every mistake is named with
# its line by: sensor-gateway check FILE
"""
_HELP_COLUMN = 46


def example() -> str:
    """The text of `config.example.toml`."""
    lines = [_HEAD]
    for name, key in keys(Config).items():
        lines += ["", *_section(name, key)]
    return "\n".join(lines) + "\n"


def _section(name: str, key: Key) -> Iterator[str]:
    kind = key.row.kind
    assert isinstance(kind, Table | Tables)
    yield f"# {key.row.help[0].upper()}{key.row.help[1:]}."
    if isinstance(kind, Table):
        yield f"[{name}]"
        yield from _lines(kind.model, "", "# ")
        return
    # A list that is empty by default has no element to write: its header stays behind the "#" too.
    yield f"[[{name}]]" if key.default else f"# [[{name}]]"
    yield from _lines(kind.model, "", "" if key.default else "# ")


def _lines(model: type[msgspec.Struct], dotted: str, required: str, lead: str = "") -> Iterator[str]:
    """The keys of one table, one a line, tables inside it as dotted keys.

    `required` stands before a key that has no default. `lead` is the first key of a table that is absent by default:
    the others say nothing without it.
    """
    for name, key in keys(model).items():
        kind, path = key.row.kind, f"{dotted}{name}"
        if isinstance(kind, Table):
            inner = "" if key.default else f"{path}.{next(iter(keys(kind.model)))}"
            yield from _lines(kind.model, f"{path}.", "# ", inner)
        elif isinstance(kind, Tables):
            yield _line(f"{path} = [{_inline(kind.model)}]", key, "# ")
            for below, row in keys(kind.model).items():
                yield f"{'#':<{_HELP_COLUMN}}#   {below}: {row.row.help}"
        else:
            note = " (no default)" if key.required and required else f" (goes with {lead})" if lead else ""
            yield _line(f"{path} = {_value(key)}", key, required if key.required else "# ", note)


def _line(assignment: str, key: Key, before: str, note: str = "") -> str:
    return f"{before}{assignment}".ljust(_HELP_COLUMN - 1) + f" # {key.row.help}{note}"


def _inline(model: type[msgspec.Struct]) -> str:
    pairs = (f"{name} = {_value(key)}" for name, key in keys(model).items())
    return f"{{ {', '.join(pairs)} }}"


def _value(key: Key) -> str:
    assert isinstance(key.row.kind, Leaf)
    value: Any = key.row.example if key.required else key.default
    return key.row.kind.show(value)


if __name__ == "__main__":
    sys.stdout.write(example())
