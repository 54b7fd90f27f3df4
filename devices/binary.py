"""CBOR and MessagePack documents that no family explains.

A topic with "cbor" or "msgpack" in it says which; elsewhere the bytes must be one complete map (or an array of maps) to
count. JSON is tried first: "{" opens a text of 2^64 bytes in CBOR and is the number 123 in MessagePack.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from devices import documents
from devices.cbor import MAX_BYTES, fraction, load_cbor
from devices.numbers import MAX_DEPTH, depth, load_json
from devices.reading import DecodeError, DeviceState, Reading

MAX_GUESS = 4096  # bytes of a payload that is tried on topics that say nothing about their format
_CBOR, _MSGPACK = "cbor", "msgpack"
_WORD = re.compile(r"(?:^|[/_.-])(cbor|msgpack|messagepack)(?:$|[/_.-])", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"

_decode = msgspec.msgpack.Decoder().decode


class Binary:
    """Decoder of self-describing binary documents; names and paths as for JSON (`devices.documents`). No state."""

    family = "binary"

    def recognises(self, topic: str, payload: bytes) -> bool:
        """By the topic, else by a payload that cannot be text and is a complete document."""
        if _stated(topic):
            return True
        if not _looks_binary(payload) or len(payload) > MAX_GUESS:
            return False
        try:
            return _named(_guess(payload))
        except DecodeError:
            return False

    def claims(self, topic: str) -> bool:
        return False

    def observe(self, topic: str, payload: bytes, retained: bool, now: float) -> Sequence[DeviceState]:
        return []

    def decode(self, topic: str, payload: bytes, retained: bool, now: float) -> list[Reading]:
        """The document's readings. Raises DecodeError for what is neither JSON nor the stated or guessed format."""
        if not payload:
            return []
        if payload.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
            document = _json(payload)
            if document is not None:
                return documents.readings(topic, document, now)
        stated = _stated(topic)
        load = {None: _guess, _CBOR: load_cbor, _MSGPACK: load_msgpack}[stated]
        return documents.readings(topic, plain(load(payload)), now)


def load_msgpack(payload: bytes, limit: int = MAX_BYTES) -> object:
    """The one object that the payload is, timestamps (extension -1) as aware datetime.

    Raises DecodeError for more than `limit` bytes or MAX_DEPTH levels, truncation, and anything else that is not it.
    """
    if len(payload) > limit:
        raise DecodeError(f"{len(payload)} bytes are more than the {limit} that a document may have")
    try:
        document = _decode(payload)
    except RecursionError:
        raise DecodeError("nested too deep") from None
    except (ValueError, TypeError, OverflowError) as error:
        # msgspec.DecodeError is a ValueError, and so is what it lets through: bad UTF-8, a timestamp out of range.
        raise DecodeError(f"not MessagePack: {error}") from None
    if depth(document) > MAX_DEPTH:
        raise DecodeError(f"nested more than {MAX_DEPTH} levels deep")
    return document


def plain(document: object) -> object:
    """The document as JSON could say it: keys as text, decimals as numbers, times as Unix seconds, no bytes, no NaN."""
    if isinstance(document, bool | str):
        return document
    if isinstance(document, int):
        return _integer(document)
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, Decimal):
        return fraction(document)
    if isinstance(document, datetime):
        return document.timestamp() if document.tzinfo is not None else None
    if isinstance(document, list | tuple):
        return [plain(item) for item in document]
    if isinstance(document, dict):
        return _object(document)
    return None


def _object(document: dict[object, object]) -> dict[str, object]:
    out: dict[str, object] = {}
    moments = [key for key, value in document.items() if isinstance(value, datetime)]
    for key, value in document.items():
        if isinstance(key, bytes):
            key = key.decode("utf-8", "replace")
        if isinstance(key, bool) or not isinstance(key, str | int):
            continue
        # A lone time is the record's own, whatever it is called; of several only the name can tell.
        out["time" if isinstance(value, datetime) and len(moments) == 1 else str(key)] = plain(value)
    return out


def _integer(value: int) -> int | float | None:
    """Beyond 64 bits only what a float holds exactly: nothing downstream is to round in silence."""
    if -(2**63) <= value < 2**64:
        return value
    try:
        return float(value) if int(float(value)) == value else None
    except OverflowError:
        return None


def _stated(topic: str) -> str | None:
    found = _WORD.search(topic)
    return None if found is None else _CBOR if found[1].lower() == "cbor" else _MSGPACK


def _looks_binary(payload: bytes) -> bool:
    """A first byte that opens a map or an array and no UTF-8 text."""
    return bool(payload) and (
        0x80 <= payload[0] <= 0xBF or payload[0] in (0xDE, 0xDF) or payload[:3] == b"\xd9\xd9\xf7"
    )


def _guess(payload: bytes) -> object:
    """The document in whichever format it is complete and has named members."""
    first, second = (load_msgpack, load_cbor) if _msgpack_map(payload) else (load_cbor, load_msgpack)
    for load in (first, second):
        try:
            document = load(payload)
        except DecodeError:
            continue
        if _named(document):
            return document
    raise DecodeError("neither a CBOR nor a MessagePack document with named values")


def _msgpack_map(payload: bytes) -> bool:
    return 0x80 <= payload[0] <= 0x8F or payload[0] in (0xDE, 0xDF)


def _named(document: object) -> bool:
    if isinstance(document, list):
        return bool(document) and all(_named(item) for item in document) and isinstance(document[0], dict)
    return isinstance(document, dict) and bool(document) and all(isinstance(key, str) for key in document)


def _json(payload: bytes) -> object | None:
    try:
        return load_json(payload)
    except DecodeError:
        return None
