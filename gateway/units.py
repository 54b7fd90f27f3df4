"""Times and sizes as people write them, and back to text for messages.

Times are floats in seconds, sizes are whole bytes, percentages are fractions of one. Every `parse_` function takes
text only and raises `ValueError` with a sentence for people; a bare number is refused, because nobody can tell
seconds from milliseconds by looking at it.
"""

import math
import re

_TIME_UNITS = {"d": (86400, 1), "h": (3600, 1), "m": (60, 1), "s": (1, 1), "ms": (1, 1000)}
_SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
# At most 15 digits: exact in a float, and far from where int() and float() misbehave on long text.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_PIECE = re.compile(rf"({_NUMBER})\s*([^\W\d_]+)\s*")
_ONE_SIZE = re.compile(rf"({_NUMBER})\s*([^\W\d_]+)")
_ONE_PERCENT = re.compile(rf"({_NUMBER})\s*%")


def parse_duration(text: str) -> float:
    """Read a time such as "20s", "1h30m" or "250 ms".

    Returns seconds. Units are d, h, m, s and ms, largest first, each at most once.
    """
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped):
        raise ValueError(f'"{text}" has no unit: write "{stripped}s" for seconds')
    seconds = 0.0
    position = 0
    order = list(_TIME_UNITS)
    smallest = -1
    while position < len(stripped):
        piece = _PIECE.match(stripped, position)
        if piece is None:
            raise ValueError(f'"{text}" is not a time')
        number, unit = piece.groups()
        if unit not in _TIME_UNITS:
            raise ValueError(f'"{text}" has an unknown unit "{unit}" (known: {", ".join(order)})')
        if order.index(unit) <= smallest:
            raise ValueError(f'"{text}" is not a time: the larger unit comes first, each once')
        smallest = order.index(unit)
        factor, divisor = _TIME_UNITS[unit]
        seconds += float(number) * factor / divisor
        position = piece.end()
    if smallest < 0:
        raise ValueError(f'"{text}" is not a time')
    return seconds


def parse_size(text: str) -> int:
    """Read a size such as "2 MiB", "64KiB" or "512 B".

    Returns bytes. KiB, MiB, GiB and TiB are powers of 1024; kB, MB, GB and TB powers of 1000.
    """
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped):
        raise ValueError(f'"{text}" has no unit: write "{stripped} B" for bytes')
    match = _ONE_SIZE.fullmatch(stripped)
    if match is None:
        raise ValueError(f'"{text}" is not a size')
    number, unit = match.groups()
    if unit not in _SIZE_UNITS:
        near = next((known for known in _SIZE_UNITS if known.lower() == unit.lower()), None)
        hint = f'did you mean "{near}"?' if near else f"known: {', '.join(_SIZE_UNITS)}"
        raise ValueError(f'"{text}" has an unknown unit "{unit}" ({hint})')
    size = float(number) * _SIZE_UNITS[unit]
    if not size.is_integer():
        raise ValueError(f'"{text}" is not a whole number of bytes')
    return int(size)


def parse_percent(text: str) -> float:
    """Read a percentage such as "70%" from 0 to 100. Returns a fraction from 0.0 to 1.0."""
    match = _ONE_PERCENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a percentage')
    percent = float(match.group(1))
    if percent > 100:
        raise ValueError(f'"{text}" is more than 100%')
    return percent / 100


def format_duration(seconds: float) -> str:
    """Write seconds as "1h30m"; exact to the millisecond, parsed back by `parse_duration`."""
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{seconds} is not a time")
    rest = round(seconds * 1000)
    pieces = []
    for unit, (factor, divisor) in _TIME_UNITS.items():
        amount, rest = divmod(rest, factor * 1000 // divisor)
        if amount:
            pieces.append(f"{amount}{unit}")
    return "".join(pieces) or "0s"


def format_size(size: int) -> str:
    """Write bytes in the largest power of 1024 that fits, rounded to two decimals: "2 MiB", "1.5 GiB", "512 B"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if abs(size) >= _SIZE_UNITS[unit]:
            number = f"{size / _SIZE_UNITS[unit]:.2f}".rstrip("0").rstrip(".")
            return f"{number} {unit}"
    return f"{size} B"


def format_percent(fraction: float) -> str:
    """Write a fraction of one as "70%"."""
    return f"{fraction * 100:.6g}%"
