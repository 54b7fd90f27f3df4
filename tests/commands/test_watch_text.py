import io
import time
from typing import Any

import pytest

from gateway.commands.watch_text import Printer, message_line


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"data": {"value": 21.5, "unit": "°C"}}, '01:02:03.250 a/b {"value":21.5,"unit":"°C"}'),
        ({"data": 21.5}, "01:02:03.250 a/b 21.5"),
        ({"data": "ON\x1b[0m", "encoding": "text"}, "01:02:03.250 a/b ON\\u001b[0m"),
        ({"data": "", "encoding": "text"}, "01:02:03.250 a/b"),
        ({"data": "AAEC", "encoding": "base64"}, "01:02:03.250 a/b base64:AAEC"),
        ({"data": 1, "timestamp": None, "retained": True}, "--:--:--.--- a/b 1"),
        (
            {"data": None, "size": 300000, "too_large": True},
            "01:02:03.250 a/b (300000 bytes, more than the gateway passes on)",
        ),
        ({"data": "x" * 3000, "encoding": "text"}, f"01:02:03.250 a/b {'x' * 2000}… (3000 characters)"),
    ],
)
def test_a_message_is_one_line_of_time_topic_and_value(fields: dict[str, Any], line: str) -> None:
    assert message_line({"type": "message", "topic": "a/b", "timestamp": 3723.25, "offset": 1, **fields}) == line


@pytest.mark.parametrize(
    ("event", "note"),
    [
        (
            {"type": "gap", "from": 5, "to": 9, "count": 3, "topics": {"a": 1, "b": 2}, "reason": "slow-consumer"},
            "-- gap: 3 messages not delivered of a, b (slow-consumer), offsets 5 to 9\n",
        ),
        (
            {"type": "gap", "from": 5, "to": 9, "count": None, "topics": {}, "reason": "upstream"},
            "-- gap: an unknown number of messages not delivered (upstream), offsets 5 to 9\n",
        ),
        (
            {"type": "gap", "from": 476, "to": 475, "count": None, "topics": {}, "reason": "upstream"},
            "-- gap: an unknown number of messages not delivered (upstream), before offset 476\n",
        ),
        ({"type": "stale", "topic": "a\x1b[2J", "age": 65.2}, "-- a\\u001b[2J has been silent for 65 s\n"),
        (
            {"type": "upstream", "name": "main", "state": "waiting", "retry_in": 2.4},
            "-- upstream main waiting, next try in 2 s\n",
        ),
        ({"type": "ok", "id": 1, "subscribed": [{"filter": "a", "granted": ["a"], "reason": None}]}, ""),
        (
            {"type": "ok", "id": 1, "subscribed": [{"filter": "x", "granted": [], "reason": "not yours"}]},
            "-- x: not yours\n",
        ),
        ({"type": "heartbeat", "timestamp": 1.0, "offset": 3}, ""),
        ({"type": "of-the-future"}, ""),
    ],
)
def test_what_is_no_message_goes_to_the_notes(event: dict[str, Any], note: str) -> None:
    out, notes = io.StringIO(), io.StringIO()
    Printer(out, notes).received(event["type"], event, "")
    assert (out.getvalue(), notes.getvalue()) == ("", note)


def test_raw_prints_every_object_as_it_came() -> None:
    out, notes = io.StringIO(), io.StringIO()
    printer = Printer(out, notes, raw=True)
    printer.received("heartbeat", {}, '{"type":"heartbeat","offset":3}')
    printer.received("message", {}, '{"type":"message","data":{\n"a":"\x7f"}}')
    assert out.getvalue() == '{"type":"heartbeat","offset":3}\n{"type":"message","data":{ "a":"\\u007f"}}\n'
    assert notes.getvalue() == ""
