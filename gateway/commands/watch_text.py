"""What `watch` prints: one readable line per message, everything else as notes on standard error."""

import json
import time
from typing import Any, TextIO

from gateway.commands.terminal import visible, visible_json

MAX_VALUE = 2000
MAX_TOPICS = 5
CLOCK_SUSPECT = "the gateway's clock may be wrong, and all times with it"


class Printer:
    """Writes messages to `out` and notes to `notes`; with `raw` every object goes to `out` as it came, one a line."""

    def __init__(self, out: TextIO, notes: TextIO, *, raw: bool = False) -> None:
        self._out = out
        self._notes = notes
        self._raw = raw

    def note(self, text: str) -> None:
        """Say something that is no message."""
        print(f"-- {visible(text)}", file=self._notes, flush=True)

    def received(self, kind: str, received: dict[str, Any], text: str) -> None:
        """Print one object of the stream; `text` is how it came."""
        if self._raw:
            print(visible_json(text), file=self._out)
        elif kind == "message":
            print(message_line(received), file=self._out)
        elif note := describe(kind, received):
            self.note(note)


def message_line(message: dict[str, Any]) -> str:
    """`HH:MM:SS.mmm topic value`, times in the local zone; the value as the sensor wrote it, shortened."""
    value = visible(value_text(message))
    if len(value) > MAX_VALUE:
        value = f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    return f"{clock(message.get('timestamp'))} {visible(message['topic'])} {value}".rstrip()


def value_text(message: dict[str, Any]) -> str:
    """The payload as text: JSON compact, text as it is, bytes in base64 and marked so."""
    if message.get("too_large"):
        return f"({message['size']} bytes, more than the gateway passes on)"
    data, encoding = message.get("data"), message.get("encoding")
    if encoding == "base64":
        return f"base64:{data}"
    if encoding == "text":
        return str(data)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def clock(timestamp: float | None) -> str:
    """Time of day; dashes for a retained message whose age nobody knows."""
    if timestamp is None:
        return "--:--:--.---"
    return f"{time.strftime('%H:%M:%S', time.localtime(timestamp))}.{int(timestamp * 1000) % 1000:03d}"


def describe(kind: str, event: dict[str, Any]) -> str | None:
    """A sentence for an object that is no message; None for those that a person need not see."""
    match kind:
        case "welcome":
            links = ", ".join(f"{link['name']} {link['state']}" for link in event.get("upstreams", ()))
            parts = [f"connected to {event.get('gateway')} as {event.get('role')}"]
            parts += [f"upstreams: {links}"] if links else []
            parts += [CLOCK_SUSPECT] if event.get("clock") == "suspect" else []
            return "; ".join(parts)
        case "clock":
            return CLOCK_SUSPECT if event.get("clock") == "suspect" else "the gateway's clock is right again"
        case "ok":
            refused = [each for each in event.get("subscribed", ()) if each.get("reason")]
            return "; ".join(f"{each['filter']}: {each['reason']}" for each in refused) or None
        case "gap":
            return _describe_gap(event)
        case "upstream":
            retry = f", next try in {event['retry_in']:.0f} s" if event.get("retry_in") is not None else ""
            reason = f": {event['reason']}" if event.get("reason") else ""
            return f"upstream {event.get('name')} {event.get('state')}{reason}{retry}"
        case "stale":
            return f"{event.get('topic')} has been silent for {event.get('age', 0):.0f} s"
        case "fresh":
            return f"{event.get('topic')} speaks again"
        case "device":
            return f"{event.get('device')} {event.get('state')}"
        case "rate":
            return f"at most one value per {event.get('interval')} s now: {event.get('reason')}"
        case "closing":
            return f"the gateway closes: {event.get('reason')}"
    return None


def _describe_gap(gap: dict[str, Any]) -> str:
    count = "an unknown number of" if gap.get("count") is None else gap["count"]
    topics = list(gap.get("topics") or ())
    named = ", ".join(topics[:MAX_TOPICS]) + (", …" if len(topics) > MAX_TOPICS else "")
    where = f" of {named}" if named else ""
    first, last = gap.get("from", 0), gap.get("to", 0)
    # What passed by while nobody was there to count it has no offsets: the gap stands before the one that follows.
    offsets = f"before offset {first}" if last < first else f"offsets {first} to {last}"
    return f"gap: {count} messages not delivered{where} ({gap.get('reason')}), {offsets}"
