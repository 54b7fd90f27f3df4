"""The example file is the code's own word."""

import re
from pathlib import Path

import tomli
from msgspec.structs import replace
from support.configfolder import Folder

from gateway.config import load
from gateway.config.example import example
from gateway.config.model import Config
from gateway.config.rows import Table, Tables, keys

FILE = Path(__file__).parents[2] / "config.example.toml"
SET = re.compile(r"# (?P<line>\[\[[a-z]+\]\]|[a-z_.]+ = .*)")
NEEDED = re.compile(r"\((no default|goes with [a-z_.]+)\)$")


def test_the_file_equals_the_code() -> None:
    assert FILE.read_text() == example(), "run: python -m gateway.config.example > config.example.toml"


def test_as_it_stands_it_says_the_defaults(folder: Folder) -> None:
    assert folder.load(example()) == load(None, environ={})


def test_every_line_taken_out_of_its_comment_says_the_defaults_too(folder: Folder) -> None:
    # A list that is empty by default has no element whose keys could have defaults.
    text = re.sub(r"# \[\[[a-z]+\]\]\n(?:#.*\n)*", "", example())
    lines = [
        match["line"] if (match := SET.fullmatch(line)) and not NEEDED.search(line) else line
        for line in text.splitlines()
    ]
    assert len(set(lines) - set(text.splitlines())) > 40
    assert folder.load("\n".join(lines)) == load(None, environ={})


def test_every_key_is_there_with_help_and_no_other() -> None:
    lines = example().splitlines()
    live = tomli.loads("\n".join(match["line"] if (match := SET.fullmatch(line)) else line for line in lines))
    assert shown(live) == known(Config)
    assert all(re.search(r" # \S", line) for line in lines if " = " in line and line[:2] != "# s")


def shown(table: dict[str, object], prefix: str = "") -> set[str]:
    found = set()
    for name, value in table.items():
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        found.add(f"{prefix}{name}")
        if isinstance(inner, dict):
            found |= shown(inner, f"{prefix}{name}.")
    return found


def known(model: type, prefix: str = "") -> set[str]:
    found = set()
    for name, key in keys(model).items():
        path = f"{prefix}{name}"
        found.add(path)
        if isinstance(key.row.kind, Table | Tables):
            found |= known(key.row.kind.model, f"{path}.")
    return found


def test_elements_of_lists_that_are_empty_by_default_load_too(folder: Folder) -> None:
    lines = []
    for line in example().splitlines():
        match = re.fullmatch(r"# (?P<line>\[\[[a-z]+\]\]|[a-z_.]+ = .*)", line)
        needs_a_file = match and match["line"].startswith(("tls.", "jwt.")) and NEEDED.search(line)
        lines.append(match["line"] if match and not needs_a_file else line)

    config = folder.load("\n".join(lines))

    assert replace(config, device=()) == load(None, environ={})
    assert (config.device[0].filter, config.device[0].readings[0].quantity) == ("plant/+line/raw", "temperature")
