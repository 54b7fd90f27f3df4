"""A log record as a line of text, a line of JSON, or the fields of a journal entry. Pure.

Whatever a stranger sent may stand in a record: no line break, no terminal control and no text that runs the other way
gets through (C0, C1, DEL, U+2028, U+2029 and the bidi controls are escaped), and nothing is longer than it may be.
"""

import json
import logging
import re
import struct
from datetime import UTC, datetime
from typing import Any

LONGEST = 4000  # characters of a message: with its fields a text line stays within what a pipe takes at once
LONGEST_FIELD = 300
LONGEST_LINE = 1000  # characters of a line of a trace: sixty of them fit into a datagram for the journal
IDENTIFIER = "sensor-gateway"

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BEFORE_QUOTE = re.compile(r'(?<!\\)(\\*)"')
_BARE = re.compile(r"[A-Za-z0-9._:@/+#%$*,;()\[\]~-]+")
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def escape(text: str) -> str:
    """`text` with everything that could forge a line or move a cursor written as \\xNN or \\uNNNN."""
    return _UNSAFE.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}", text
    )


def cut(text: str, longest: int) -> str:
    """`text`, at most `longest` characters of it."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def message_of(record: logging.LogRecord) -> str:
    """What the record says, safe to show. A record of which the facts stand in fields says only its `brief`."""
    return escape(cut(str(getattr(record, "brief", None) or record.getMessage()), LONGEST))


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """The facts that were logged beside the sentence (`extra={"fields": …}`); None and "" are left out."""
    fields: dict[str, Any] = getattr(record, "fields", None) or {}
    return {name: escape(cut(str(value), LONGEST_FIELD)) for name, value in fields.items() if value not in (None, "")}


def trace_of(record: logging.LogRecord) -> list[str]:
    """The lines of the exception's trace, safe to show; none where there is no exception."""
    if not record.exc_info:
        return []
    return [
        escape(cut(line, LONGEST_LINE)) for line in logging.Formatter().formatException(record.exc_info).split("\n")
    ][-60:]


def as_text(record: logging.LogRecord) -> str:
    """`2026-01-31T12:00:00.000Z level=info from=edge msg="…" key=value`; a trace follows on lines of its own."""
    pairs = [_time(record), f"level={record.levelname.lower()}", f"from={_origin(record)}"]
    pairs.append(f"msg={_value(message_of(record), quote=True)}")
    pairs += [f"{name}={_value(value)}" for name, value in fields_of(record).items()]
    return "\n  | ".join([" ".join(pairs), *trace_of(record)])


def as_json(record: logging.LogRecord) -> str:
    """One JSON object in ASCII: time, level, from, msg, the fields, and `trace` where there is one."""
    said: dict[str, object] = {
        "time": _time(record),
        "level": record.levelname.lower(),
        "from": _origin(record),
        "msg": message_of(record),
    }
    said |= {name: value for name, value in fields_of(record).items() if name not in said}
    if trace := trace_of(record):
        said["trace"] = trace
    return json.dumps(said, separators=(",", ":"))


def as_journal(record: logging.LogRecord) -> bytes:
    """A datagram of the journal's native protocol (systemd, "Native Journal Protocol").

    Fields of ours are `GATEWAY_NAME` for a fact `name`, so that they can never be taken for the journal's own.
    """
    text = "\n".join([message_of(record), *trace_of(record)])
    if facts := fields_of(record):
        # journalctl shows the message alone: what happened has to stand in it.
        text += " " + " ".join(f"{name}={_value(value)}" for name, value in facts.items())
    priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
    fields = {
        "MESSAGE": text,
        "PRIORITY": str(priority),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "SYSLOG_PID": str(record.process),
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
        "GATEWAY_FROM": _origin(record),
    }
    fields |= {"GATEWAY_" + re.sub("[^A-Z0-9_]", "_", name.upper())[:50]: value for name, value in facts.items()}
    return b"".join(_journal_field(name, value) for name, value in fields.items())


def _journal_field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\n" in data:
        return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(data)), data)
    return b"%b=%b\n" % (name.encode(), data)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _origin(record: logging.LogRecord) -> str:
    return record.name.removeprefix("gateway.").removeprefix("sensor_gateway.")


def _value(text: str, *, quote: bool = False) -> str:
    if not quote and _BARE.fullmatch(text):
        return text
    # Backslashes before a quote would take its own away: what a stranger sent would end the value, and begin another.
    return '"' + _BEFORE_QUOTE.sub(lambda found: found[1] * 2 + '\\"', text + '"')[:-2] + '"'
