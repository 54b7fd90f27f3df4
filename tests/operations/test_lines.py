import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations.lines import as_journal, as_json, as_text, escape


def record(message: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("gateway.edge", level, "/app/server.py", 12, message, args, None, "judge")
    made.__dict__.update(extra)
    made.created = 1_769_860_800.1234
    return made


def test_a_text_line_is_key_value() -> None:
    line = as_text(
        record('rejected "%s"', "http://evil.example", fields={"address": "10.0.0.1", "user": "a b", "no": ""})
    )
    assert line == (
        '2026-01-31T12:00:00.123Z level=info from=edge msg="rejected \\"http://evil.example\\"" '
        'address=10.0.0.1 user="a b"'
    )


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a\nlevel=error", "a\\x0alevel=error"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("Küche 21 ℃", "Küche 21 ℃"),
    ],
)
def test_what_a_stranger_sent_can_forge_nothing(sent: str, shown: str) -> None:
    assert escape(sent) == shown
    assert shown in as_text(record("client says %s", sent))
    assert "\n" not in as_text(record("client says %s", sent, fields={"topic": sent}))
    assert json.loads(as_json(record("%s", sent)))["msg"] == shown
    assert as_journal(record("%s", sent)).startswith(b"MESSAGE=" + shown.encode() + b"\n")


@given(st.text() | st.text('\\" =a'))
def test_a_value_ends_where_it_ends(sent: str) -> None:
    """One that ended with a backslash took its closing quote away, and a quote behind one began fields of its own."""
    line = as_text(record("x", fields={"topic": sent or "-", "end": 1}))
    assert re.search(r' topic=(?:"(?:[^"\\]|\\.)*"|[^" ]+) end=1$', line), line


@pytest.mark.parametrize(
    ("sent", "shown"),
    [('a\\" user="b', '"a\\\\\\" user=\\"b"'), ("C:\\ x\\", '"C:\\ x\\\\"'), ('say "a"', '"say \\"a\\""')],
)
def test_quotes_and_backslashes_stay_inside(sent: str, shown: str) -> None:
    assert as_text(record("x", fields={"topic": sent})).endswith(f" topic={shown}")


def test_a_trace_that_says_very_much_is_cut() -> None:
    try:
        raise ValueError("x" * 1_000_000)
    except ValueError:
        made = record("boom", exc_info=sys.exc_info())
    assert len(as_journal(made)) < 100_000


def test_a_record_is_cut() -> None:
    assert len(as_text(record("x" * 100_000, fields={"y": "z" * 100_000}))) < 5000


def test_json_is_one_line_of_ascii() -> None:
    line = as_json(record("Küche", fields={"topic": "a/b"}))
    assert line.isascii()
    assert json.loads(line) == {
        "time": "2026-01-31T12:00:00.123Z",
        "level": "info",
        "from": "edge",
        "msg": "Küche",
        "topic": "a/b",
    }


def test_a_journal_entry_has_native_fields() -> None:
    entry = as_journal(record("hello", level=logging.WARNING, fields={"session": "s1"}))
    lines = entry.split(b"\n")
    assert b"MESSAGE=hello session=s1" in lines
    assert b"PRIORITY=4" in lines
    assert b"SYSLOG_IDENTIFIER=sensor-gateway" in lines
    assert b"CODE_LINE=12" in lines
    assert b"GATEWAY_SESSION=s1" in lines


def test_a_trace_is_shown_in_every_format() -> None:
    try:
        raise ValueError("bad\x1b")
    except ValueError:
        made = record("failed", level=logging.ERROR)
        made.exc_info = sys.exc_info()
    assert as_text(made).splitlines()[-1] == "  | ValueError: bad\\x1b"
    assert json.loads(as_json(made))["trace"][-1] == "ValueError: bad\\x1b"
    entry = as_journal(made)
    # A field with line breaks: name, line break, 64-bit little-endian size, data (the journal's native protocol).
    assert entry.startswith(b"MESSAGE\n")
    size = int.from_bytes(entry[8:16], "little")
    assert entry[16 : 16 + size].endswith(b"ValueError: bad\\x1b")
    assert entry[16 + size : 17 + size] == b"\n"
