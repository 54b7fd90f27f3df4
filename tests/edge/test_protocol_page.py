"""What docs/protocol.md says is what the code has: types, fields, codes, paths."""

import re
from pathlib import Path

import msgspec
import pytest
from support.edge import Edge

from gateway.edge import commands, events
from gateway.edge.dialects.native import _COMMANDS
from gateway.errors import CLOSE_CODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocol.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
EVENTS = {event.__struct_config__.tag: event for event in events.Event.__subclasses__()}
COMMANDS = {kind.__name__.lower(): kind for kind in (*commands.Command.__args__,)}


def rows(section: str) -> dict[str, str]:
    """What stands behind each name in the first column of a section's table."""
    found = {}
    for names, rest in re.findall(r"^\| (.*?) \| (.*) \|$", SECTIONS[section], re.MULTILINE):
        for name in re.findall(r"`([^`]+)`|\b(\d{4})\b", names):
            found[name[0] or name[1]] = rest
    return found


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def fields_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_every_event_is_there_and_nothing_else() -> None:
    assert rows("From the gateway").keys() == {*EVENTS, "message"}


@pytest.mark.parametrize("tag", EVENTS)
def test_an_event_has_all_its_fields(tag: str) -> None:
    assert fields_of(EVENTS[tag]) <= quoted(rows("From the gateway")[tag])


def test_every_command_is_there_and_nothing_else() -> None:
    assert rows("From the client").keys() == _COMMANDS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_has_all_its_fields(name: str) -> None:
    # A payload is `data` and `encoding` over the wire; a copy is named by another dialect only.
    wanted = fields_of(COMMANDS[name]) - {"payload", "copy"}
    assert wanted <= quoted(rows("From the client")[name])


def test_the_codes_of_errors_are_those_of_the_code() -> None:
    [sentence] = re.findall(r"^`code` is one of (.*?)\.$", PAGE, re.MULTILINE | re.DOTALL)
    source = "".join(
        file.read_text() for wing in ("edge", "upstream") for file in (ROOT / "gateway" / wing).rglob("*.py")
    )
    assert quoted(sentence) == set(re.findall(r'CommandError\(\s*"([a-z-]+)"', source))


def test_every_close_code_is_there() -> None:
    assert {str(code.code) for code in CLOSE_CODES} | {"1008"} == rows("Refusals and close codes").keys()


async def test_every_path_is_served() -> None:
    told = rows("Plain HTTP").keys()
    async with Edge(anonymous="") as edge:
        served = {*edge.front.data.resources, "/events"}
        # The daemon and the built client add theirs.
        assert told - served == {"/", "/client.js", "/client.d.ts", "/healthz", "/readyz", "/api/devices", "/metrics"}
        assert served <= told
