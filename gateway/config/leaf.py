"""What a kind of plain value is: how it is read from TOML, and shown in TOML."""

import json
from collections.abc import Callable
from typing import Any

import msgspec


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of plain value.

    `parse` takes what tomli returned and raises `ValueError` saying only what is wrong; `expected` ends the sentence
    "…, expected", so that both always stand in the message. `blank` stands in for a required key that is missing,
    so that the rest of the table can still be looked at. `from_text` turns the text of an environment variable into
    what TOML would have held.
    """

    expected: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = lambda value: quote(str(value))
    from_text: Callable[[str], object] = str
    blank: Any = ""


class Many(Leaf, frozen=True, kw_only=True):
    """A list of `item`, read as a tuple; `single` takes one value without brackets as well."""

    item: Leaf
    least: int = 0
    single: bool = False


def quote(text: str) -> str:
    """Write text as a TOML basic string."""
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def describe(value: object) -> str:
    """Name a TOML value in a message: texts quoted and cut, tables and arrays by their kind."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return quote(value if len(value) <= 60 else value[:57] + "...")
        case int() | float():
            return f"{value:.60}" if isinstance(value, float) else str(value)[:60]
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return "a date or time"
