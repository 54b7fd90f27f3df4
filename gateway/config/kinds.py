"""The kinds of value a key can want, each a function that makes one; see `leaf` for what a kind is."""

import ipaddress
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomli

from gateway.config.leaf import Leaf, Many, describe, quote
from gateway.topics import validate_filter
from gateway.units import format_duration, format_percent, format_size, parse_duration, parse_percent, parse_size

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    r"(?:\[[0-9a-f:.]+\]|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::(?:[0-9]{1,5}|\*))?/?",
    re.IGNORECASE,
)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{describe(value)} is not text")
    return value


def text(expected: str = "text", check: Callable[[str], None] | None = None) -> Leaf:
    """Any text; `check` raises `ValueError` for a wrong one."""

    def parse(value: object) -> str:
        checked = _text(value)
        if check is not None:
            check(checked)
        return checked

    return Leaf(expected=expected, parse=parse)


def name(*, empty: bool = False) -> Leaf:
    """A name that may stand in a topic, a client id and a log line; `empty` allows none."""

    def check(value: str) -> None:
        if not _NAME.fullmatch(value) and not (empty and value == ""):
            raise ValueError(f"{describe(value)} is no usable name")

    return text("up to 64 letters, digits, dots, dashes and underscores, the first a letter or digit", check)


def stream_name() -> Leaf:
    """The name of a JetStream stream: no dots, no blanks, since it stands in subjects."""

    def check(value: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
            raise ValueError(f"{describe(value)} is no usable name")

    return text("up to 64 letters, digits, dashes and underscores", check)


def subject_prefix() -> Leaf:
    """The first tokens of NATS subjects, or none."""

    def check(value: str) -> None:
        if value and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", value):
            raise ValueError(f"{describe(value)} is no prefix of a subject")

    return text("letters, digits, dashes and underscores, with dots between, or nothing", check)


def flag() -> Leaf:
    """True or false."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{describe(value)} is neither true nor false")
        return value

    def from_text(value: str) -> object:
        return {"true": True, "false": False}.get(value.lower(), value)

    return Leaf(expected="true or false", parse=parse, show=lambda v: str(v).lower(), from_text=from_text, blank=False)


def whole(low: int, high: int) -> Leaf:
    """A whole number within bounds, both allowed."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{describe(value)} is not a whole number")
        if not low <= value <= high:
            raise ValueError(f"{describe(value)} is out of range")
        return value

    def from_text(value: str) -> object:
        return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else value

    return Leaf(expected=f"a whole number from {low} to {high}", parse=parse, show=str, from_text=from_text, blank=low)


def number() -> Leaf:
    """Any finite number."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
            raise ValueError(f"{describe(value)} is not a number")
        return float(value)

    def from_text(value: str) -> object:
        return float(value) if re.fullmatch(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?", value) else value

    return Leaf(expected="a number", parse=parse, show=lambda v: f"{v:g}", from_text=from_text, blank=0.0)


def _bare(value: float, unit: str, what: str) -> str:
    """What is wrong with a number in the place of a time or a size: that it has no unit, where one would mend it."""
    shown = describe(value)
    return f'{shown} has no unit: write "{shown}{unit}' if 0 <= value < math.inf else f"{shown} is not a {what}"


def duration(low: str, high: str) -> Leaf:
    """A time within bounds; seconds."""
    least, most = parse_duration(low), parse_duration(high)

    def parse(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(_bare(value, 's" for seconds', "time"))
        seconds = parse_duration(_text(value))
        if not least <= seconds <= most:
            raise ValueError(f"{describe(value)} is out of range")
        return seconds

    expected = f'a time from "{low}" to "{high}"'
    return Leaf(expected=expected, parse=parse, show=lambda v: quote(format_duration(v)), blank=least)


def size(low: str, high: str) -> Leaf:
    """A size within bounds; bytes."""
    least, most = parse_size(low), parse_size(high)

    def parse(value: object) -> int:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(_bare(value, ' B" for bytes', "size"))
        amount = parse_size(_text(value))
        if not least <= amount <= most:
            raise ValueError(f"{describe(value)} is out of range")
        return amount

    expected = f'a size from "{low}" to "{high}"'
    return Leaf(expected=expected, parse=parse, show=lambda v: quote(format_size(v)), blank=least)


def size_or_share(low: str, high: str) -> Leaf:
    """A size (int, bytes), or a percentage (float, fraction of one)."""
    amount = size(low, high)

    def parse(value: object) -> int | float:
        if isinstance(value, str) and value.rstrip().endswith("%"):
            share = parse_percent(value)
            if share == 0:
                raise ValueError(f"{describe(value)} leaves nothing")
            return share
        parsed: int = amount.parse(value)
        return parsed

    def show(value: int | float) -> str:
        return quote(format_percent(value) if isinstance(value, float) else format_size(value))

    return Leaf(expected=f'{amount.expected}, or a share such as "70%"', parse=parse, show=show)


def choice(*values: str) -> Leaf:
    """One of a few words."""
    words = " or ".join(quote(value) for value in values)

    def parse(value: object) -> str:
        if value not in values:
            raise ValueError(f"{describe(value)} is not known")
        return _text(value)

    return Leaf(expected=words, parse=parse, blank=values[0])


def auto(leaf: Leaf, *, word: str = "auto", unset: object = None) -> Leaf:
    """`leaf`, or `word` for a value found at run time, read as `unset`."""

    def from_text(value: str) -> object:
        return value if value == word else leaf.from_text(value)

    return Leaf(
        expected=f'{leaf.expected}, or "{word}"',
        parse=lambda value: unset if value == word else leaf.parse(value),
        show=lambda value: quote(word) if value == unset else leaf.show(value),
        from_text=from_text,
        blank=unset,
    )


def many(leaf: Leaf, *, least: int = 0, single: bool = False) -> Many:
    """A list of at least `least` values of the kind `leaf`.

    Its `parse` checks the list alone; whoever calls it parses the items, each in its place. The environment gives
    a TOML array, or values separated by commas.
    """

    def parse(value: object) -> list[object]:
        if single and not isinstance(value, list):
            value = [value]
        if not isinstance(value, list):
            raise ValueError(f"{describe(value)} is not a list")
        if len(value) < least:
            raise ValueError("the list is empty")
        return value

    def show(values: tuple[Any, ...]) -> str:
        if single and len(values) == 1:
            return leaf.show(values[0])
        return f"[{', '.join(leaf.show(value) for value in values)}]"

    def from_text(value: str) -> object:
        if value.lstrip().startswith("["):
            try:
                return tomli.loads(f"v = {value}")["v"]
            except tomli.TOMLDecodeError:
                return value
        return [leaf.from_text(item.strip()) for item in value.split(",") if item.strip()]

    return Many(
        expected=f"one or a list of: {leaf.expected}" if single else f"a list, each item {leaf.expected}",
        parse=parse,
        show=show,
        from_text=from_text,
        blank=(),
        item=leaf,
        least=least,
        single=single,
    )


def path(*, empty: bool = True) -> Leaf:
    """A path; read as it stands, resolved later. `empty` allows "" for none."""

    def parse(value: object) -> Path | None:
        given = _text(value)
        if "\0" in given:
            raise ValueError(f"{describe(given)} is no path")
        if "\n" in given or "-----BEGIN" in given:
            raise ValueError("this is a file's content, not its path")  # it may be a private key: never repeated
        if given == "" and not empty:
            raise ValueError("the path is empty")
        return Path(given) if given else None

    return Leaf(expected="a path", parse=parse, show=lambda value: quote(str(value or "")), blank=None)


def topic_filter() -> Leaf:
    """An MQTT topic filter (MQTT 5.0, 4.7)."""
    return text('an MQTT topic filter such as "sensors/#"', validate_filter)


def named_filter() -> Leaf:
    """A topic filter whose single-level wildcards may have names, as in `plant/+line/raw`."""

    def check(value: str) -> None:
        validate_filter(re.sub(r"(^|/)\+[A-Za-z_][A-Za-z0-9_]*(?=/|$)", r"\1+", value))

    return text("a topic filter, +name for a named level", check)


def network() -> Leaf:
    """An address or network such as "10.0.0.0/8", read as `ipaddress` networks."""

    def parse(value: object) -> str:
        try:
            return str(ipaddress.ip_network(_text(value), strict=False))
        except ValueError:
            raise ValueError(f"{describe(value)} is no network") from None

    return Leaf(expected='an address or a network such as "192.168.1.0/24"', parse=parse)


def origin() -> Leaf:
    """An origin as browsers send it (RFC 6454 section 7), with wildcards for one label and for the port."""

    def check(value: str) -> None:
        if value == "null" or _ORIGIN.fullmatch(value):
            return
        if value == "*":
            raise ValueError('"*" would let every web page read what its visitor may read')
        if not value.isascii():
            raise ValueError(f"{describe(value)} is not in its ASCII form (xn--...)")
        raise ValueError(f"{describe(value)} is no origin")

    example = 'scheme://host[:port] such as "https://panel.example.org", "https://*.example.org", "http://localhost:*"'
    return text(example, check)
