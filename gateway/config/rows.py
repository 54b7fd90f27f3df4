"""How a key is declared: its kind and one line of help, beside its type and default in the model."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec

from gateway.config.leaf import Leaf


class Table(msgspec.Struct, frozen=True):
    """A table with a model of its own; `model` is its msgspec Struct."""

    model: type[msgspec.Struct]


class Tables(msgspec.Struct, frozen=True):
    """A list of tables, `[[name]]`, each with the model `model`."""

    model: type[msgspec.Struct]


class Row(msgspec.Struct, frozen=True):
    """One key: what it takes, and one line of help with its unit and the meaning of its special values.

    `example` is a value for a required key, which has no default to show.
    """

    kind: Leaf | Table | Tables
    help: str
    example: Any = None


class Key(msgspec.Struct, frozen=True):
    """A row with the name and default that the model gives it; `default` is NODEFAULT for a required key."""

    name: str
    row: Row
    default: Any

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT


@cache
def keys(model: type[msgspec.Struct]) -> Mapping[str, Key]:
    """The keys of a table by name, in the order of the model. Fields without a `Row` are not keys of the file."""
    hints = get_type_hints(model, include_extras=True)
    found = {}
    for field in msgspec.structs.fields(model):
        row = next((extra for extra in getattr(hints[field.name], "__metadata__", ()) if isinstance(extra, Row)), None)
        if row is not None:
            found[field.name] = Key(field.name, row, field.default)
    return found
