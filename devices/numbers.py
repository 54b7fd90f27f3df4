"""What a payload's text may count as: numbers, truths, times and JSON, all read strictly and in bounded time.

Python's own readers are too kind for bytes from a broker: `float` takes "nan", "1_000" and Arabic digits, `json` takes
NaN and overflows 1e999 to infinity, `datetime.fromisoformat` takes a time without a zone. Here each of these is no
value.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

from devices.reading import DecodeError
from devices.units import known_unit

MAX_JSON = 256 * 1024  # bytes of a document with readings
MAX_STATE = 4 * 1024 * 1024  # bytes of a document with state: bridge/devices of a large Zigbee network is megabytes
MAX_DEPTH = 32  # levels of nesting
MAX_TEXT = 256  # bytes of a plain value; what is longer is no measurement

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_IDENTIFIER = re.compile(r"[0-9]+[eE][0-9]+")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_LARGEST = 2**63  # what no counter reaches is an identifier; as a float it would lose digits

NO_VALUE = frozenset({
    "", "unknown", "unavailable", "null", "none", "n/a", "na", "nan", "-nan", "inf", "-inf", "+inf", "infinity",
    "-infinity", "--", "-", "undefined", "undef", "nil", "invalid", "unset",
})  # fmt: skip
TRUTHS: Mapping[str, bool] = {
    "on": True, "off": False, "true": True, "false": False, "yes": True, "no": False, "open": True, "closed": False,
    "close": False, "opened": True, "detected": True, "clear": False, "wet": True, "dry": False, "online": True,
    "offline": False, "active": True, "inactive": False, "home": True, "not_home": False, "locked": True,
    "unlocked": False, "lock": True, "unlock": False,
}  # fmt: skip
AVAILABILITY: Mapping[str, bool] = {
    "online": True, "offline": False, "true": True, "false": False, "1": True, "0": False, "connected": True,
    "disconnected": False, "available": True, "unavailable": False, "on": True, "off": False, "lost": False,
    "alive": True, "dead": False, "up": True, "down": False, "yes": True, "no": False,
}  # fmt: skip


class NotFinite(DecodeError):
    """The document holds a bare nan or infinity: not JSON, but `without_nonfinite` can save the rest of it."""


def is_number(value: object) -> bool:
    """Whether `value` is a finite int or float, and no truth (bool is an int in Python)."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    return kind is int and -_LARGEST <= value < 2 * _LARGEST  # type: ignore[operator]


def number(text: str) -> int | float | None:
    """The number that `text` is, ASCII digits with "." only; surrounding blanks are no matter, all else is None.

    A whole number with a leading zero ("007") or a large one with an exponent ("123E45") is an identifier, and None.
    """
    text = text.strip(" \t\r\n")
    if len(text) > 64 or not _NUMBER.fullmatch(text):
        return None
    if text[0] == "0" and len(text) > 1 and text.isdigit():
        return None
    try:
        value: int | float = int(text)
    except ValueError:
        value = float(text)
    if abs(value) > 1e15 and _IDENTIFIER.fullmatch(text):
        return None
    return value if is_number(value) else None


def local_number(text: str) -> int | float | None:
    """Like `number`, a decimal comma allowed: "23,2". "1,234" may mean a thousand or not, and is None."""
    value = number(text)
    if value is None:
        text = text.strip(" \t\r\n")
        if len(text) <= 64 and _COMMA.fullmatch(text) and len(text) - text.index(",") != 4:
            value = number(text.replace(",", "."))
    return value


def measured(text: str) -> tuple[int | float, str | None] | None:
    """Number text with or without a unit behind it: "21.5", "23,2", "1013.25hPa", "12.3 km/h"; None for other text.

    Only a known unit counts, so that versions ("4.8.14"), addresses and identifiers stay text.
    """
    value = local_number(text)
    if value is not None:
        return value, None
    text = text.strip(" \t\r\n")
    if len(text) > MAX_TEXT:
        return None
    found = _COMMA.match(text) or _NUMBER.match(text)
    if found is None or found.end() == len(text):
        return None
    unit = known_unit(text[found.end() :])
    value = local_number(found.group())
    return None if unit is None or value is None else (value, unit)


def truth(value: object) -> bool | None:
    """The truth that a value says: true/false, on/off, open/closed … in any case, 1 and 0; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        return TRUTHS.get(word) if len(word) > 1 else {"1": True, "0": False}.get(word)
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return None


def availability(payload: bytes) -> bool | None:
    """Online or not, in all spellings met: Online, false, 1, lost, {"state": "online"}; None for anything else."""
    if len(payload) > MAX_TEXT:
        return None
    text = payload.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            document = load_json(payload)
        except DecodeError:
            return None
        if not isinstance(document, dict):
            return None
        text = str(document.get("state", document.get("status", "")))
    return AVAILABILITY.get(text.strip('"').lower())


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_EARLIEST = 978_307_200.0  # 2001-01-01: clocks that were never set start in 1970 or 2000
_LATEST = 1_798_761_600.0  # 2027-01-01: an edge box may boot with its own clock behind the sensors'
_AHEAD = 86_400.0
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?\s*(Z|z|[+-]\d\d:?\d\d|[+-]\d\d)", re.ASCII)


def plausible(seconds: float, now: float) -> float | None:
    """Unix seconds, or None for a clock that was never set or runs in the future by more than a day."""
    return seconds if _EARLIEST <= seconds <= max(now, _LATEST) + _AHEAD else None


def epoch(value: int | float, now: float) -> float | None:
    """Unix time in s, ms, µs or ns, told apart by magnitude, in seconds; None if implausible."""
    if not is_number(value) or value < _EARLIEST:
        return None
    if value >= 1e17:
        value /= 1e9
    elif value >= 1e14:
        value /= 1e6
    elif value >= 1e11:
        value /= 1e3
    return plausible(float(value), now)


def timestamp(value: object, now: float) -> float | None:
    """A time in Unix seconds, from an epoch number, its text, or ISO 8601 with a zone (RFC 3339).

    A wall clock without a zone is None: nobody can know when that was.
    """
    if isinstance(value, str):
        if len(value) > 64:
            return None
        found = _ISO.fullmatch(value.strip())
        if found is None:
            seconds = number(value)
            return None if seconds is None else epoch(seconds, now)
        day, clock, fraction, zone = found.groups()
        zone = "+00:00" if zone in "Zz" else zone if len(zone) > 3 else zone + ":00"
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp()
        except (ValueError, OverflowError):
            return None
        return plausible(moment + float(fraction or 0), now)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return epoch(value, now)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_decode = msgspec.json.Decoder().decode
_BOM = b"\xef\xbb\xbf"
# Possessive, and matching a string without an end as well: looking for one from every quote would be quadratic.
_NONFINITE = re.compile(
    rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|(?<=[:\[,\s])[+-]?(?:nan|NaN|NAN|inf|Inf|INF|Infinity)(?=[\s,\]}])', re.DOTALL
)


def load_json(payload: bytes, limit: int = MAX_JSON) -> object:
    """The JSON document (RFC 8259), a leading byte order mark ignored.

    Raises DecodeError for more than `limit` bytes, more than MAX_DEPTH levels, a number beyond a float, bad UTF-8 or
    anything else that is not JSON; NotFinite when a bare nan or infinity is what is wrong with it.
    """
    if len(payload) > limit:
        raise DecodeError(f"{len(payload)} bytes are more than the {limit} that a document may have")
    if payload.startswith(_BOM):
        payload = payload[3:]
    try:
        document = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _may_be_nonfinite(payload) and without_nonfinite(payload) != payload:
            raise NotFinite(f"a bare nan or infinity is not JSON ({error})") from None
        raise DecodeError(f"not JSON: {error}") from None
    except RecursionError:
        raise DecodeError("nested too deep") from None
    # The count of opening brackets bounds the depth: only a document with many is looked at closer.
    if payload.count(b"{") + payload.count(b"[") > MAX_DEPTH and depth(document) > MAX_DEPTH:
        raise DecodeError(f"nested more than {MAX_DEPTH} levels deep")
    return document


def load_object(payload: bytes, limit: int = MAX_JSON) -> dict[str, object]:
    """Like `load_json`, of a document that must be an object. Raises DecodeError for any other."""
    document = load_json(payload, limit)
    if not isinstance(document, dict):
        raise DecodeError(f"a JSON object was expected, not {type(document).__name__}")
    return document


def depth(document: object) -> int:
    """Levels of nesting; a scalar has none. Iterative, for documents deeper than Python's stack."""
    deepest, level = 0, [document]
    while level := [item for item in level if isinstance(item, dict | list)]:
        deepest += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _may_be_nonfinite(payload: bytes) -> bool:
    lower = payload.lower()
    return b"nan" in lower or b"inf" in lower


def without_nonfinite(payload: bytes) -> bytes:
    """The document with every bare nan and infinity replaced by null; text in quotes stays as it is."""
    return _NONFINITE.sub(lambda found: found.group() if found.group()[:1] == b'"' else b"null", payload)
