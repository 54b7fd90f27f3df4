"""`docs/alerts.yml` alert by alert, as text: our own rules keep to one shape, so that no YAML parser is needed."""

import re
from pathlib import Path
from typing import NamedTuple

ALERTS = Path(__file__).parents[2] / "docs" / "alerts.yml"


class Alert(NamedTuple):
    """One rule; `summary` and `description` are templates still."""

    name: str
    expr: str
    severity: str
    summary: str
    description: str


def alerts() -> dict[str, Alert]:
    """All of them by name, in the order of the file."""
    found = {}
    for block in re.split(r"^      - alert: ", ALERTS.read_text(), flags=re.MULTILINE)[1:]:
        name = block.split("\n", 1)[0]
        [severity] = re.findall(r"severity: (\w+)", block)
        found[name] = Alert(name, _text(block, "expr"), severity, _text(block, "summary"), _text(block, "description"))
    return found


def _text(block: str, key: str) -> str:
    match = re.search(rf"^( +){key}: (?:>-\n((?:\1  \S.*\n?)+)|(.+))", block, re.MULTILINE)
    assert match is not None, (key, block)
    folded, plain = match[2], match[3]
    return " ".join(folded.split()) if folded else plain.strip('"')
