"""Writes `docs/configuration.md` from the model: `python -m gateway.config.reference > docs/configuration.md`."""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.config.leaf import Leaf
from gateway.config.model import Config
from gateway.config.rows import Key, Table, Tables, keys

_HEAD = """\
# Configuration

`/etc/sensor-gateway/config.toml`, or `--config FILE`. Pieces in `conf.d/*.toml` beside it are read after it in the
order of their names: tables are merged, `[[lists]]` get longer. Without any file the gateway follows
`mqtt://127.0.0.1:1883` and serves `http://127.0.0.1:8880/` to this machine alone.

- Times are written `"250ms"`, `"20s"`, `"1h30m"`, sizes `"512 B"`, `"64 KiB"`, `"2 MiB"`.
- A text that is `"${NAME}"` and nothing else is taken from the environment, and read as the type that the key wants.
- Paths start at the file's folder, `history.disk` at `gateway.state_dir`. Secrets stand in files; one that systemd
  passes as a credential is found by its name.
- `sensor-gateway check` names every mistake with its line. `systemctl reload sensor-gateway` takes changes up without
  dropping a client; a file with a mistake changes nothing.

**After a restart only**: a `[[listen]]` address or port, `gateway.name`, `gateway.state_dir`, `history.log`, `disk`,
`disk_limit`, `disk_age`, `commit`, `durable` and `jetstream`. A reload names them as long as they are not as
at the start. `[[upstream]] ingest` changes under way, and waits for the restart only where the log has to; so do topics
that the running stream does not hold.
"""


def reference() -> str:
    """The text of `docs/configuration.md`."""
    lines = [_HEAD]
    for name, key in keys(Config).items():
        kind = key.row.kind
        assert isinstance(kind, Table | Tables)
        lines += [f"## {f'[{name}]' if isinstance(kind, Table) else f'[[{name}]]'}", ""]
        lines += [f"{key.row.help[0].upper()}{key.row.help[1:]}.", "", "| key | default | meaning |", "|---|---|---|"]
        lines += [*_rows(kind.model, ""), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(model: type[msgspec.Struct], dotted: str) -> Iterator[str]:
    for name, key in keys(model).items():
        kind = key.row.kind
        path = f"{dotted}{name}"
        if isinstance(kind, Table):
            yield f"| `{path}` | | {_cell(key.row.help)}: a table |"
            yield from _rows(kind.model, f"{path}.")
        elif isinstance(kind, Tables):
            yield f"| `{path}` | | {_cell(key.row.help)}: a list of tables |"
            yield from _rows(kind.model, f"{path}[].")
        else:
            yield f"| `{path}` | {_default(key)} | {_cell(key.row.help)} |"


def _default(key: Key) -> str:
    kind: Any = key.row.kind
    assert isinstance(kind, Leaf)
    return "none: required" if key.required else f"`{_cell(kind.show(key.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
