"""CBOR (RFC 8949) of bounded size, depth and meaning.

cbor2 reads regular expressions, MIME documents, shared and cyclic references and bignums of any length from tags, all
of it chosen by whoever may publish. So the structure is walked first: only tags that measurements need get through, and
no length promises more than there are bytes.
"""

import math
from decimal import Decimal
from typing import Any

from devices.numbers import MAX_DEPTH
from devices.reading import DecodeError

MAX_BYTES = 64 * 1024  # the walk costs half a microsecond a byte at worst; what LPWAN and meters send is below 1 kB
MAX_BIGNUM = 64  # bytes; 512 bits are beyond any counter
_TAGS = frozenset((0, 1, 2, 3, 4, 5))  # text and epoch time, bignums, decimal fraction, bigfloat
# Tag 55799, "this is CBOR": around a map it makes cbor2 return an immutable one, so it is taken off first.
_MAGIC = b"\xd9\xd9\xf7"
_BIGNUM = (2, 3)
_BREAK = 0xFF
_OPEN = -1  # as a count of items: until the break


def load_cbor(payload: bytes, limit: int = MAX_BYTES) -> Any:
    """The one data item that the payload is; tags 0 and 1 as aware datetime, 4 and 5 as Decimal.

    Raises DecodeError for anything else: bytes behind the item, other tags, more than MAX_DEPTH levels, truncation.
    """
    if len(payload) > limit:
        raise DecodeError(f"{len(payload)} bytes are more than the {limit} that a document may have")
    payload = payload.removeprefix(_MAGIC)
    check(payload)
    try:
        # Here, not at the top: only those whose devices speak CBOR need the library.
        import cbor2
    except ImportError:
        raise DecodeError("CBOR needs cbor2: install sensor-gateway[cbor]") from None
    try:
        return cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, ArithmeticError, TypeError, RecursionError) as error:
        # Beside its own errors cbor2 lets those of Python's int, Decimal and dict through.
        raise DecodeError(f"not CBOR: {error}") from None


def check(data: bytes) -> None:
    """Walk over the structure of a payload without building it. Raises DecodeError for what `load_cbor` refuses."""
    at, end = 0, len(data)
    left = [1]
    after_tag = None
    while left:
        if left[-1] == 0:
            left.pop()
            continue
        if at >= end:
            raise DecodeError("truncated CBOR")
        initial = data[at]
        at += 1
        if initial == _BREAK:
            if left[-1] != _OPEN or after_tag is not None:
                raise DecodeError(f"a break at byte {at - 1} that ends nothing")
            left.pop()
            continue
        major, info = initial >> 5, initial & 31
        argument = info
        if 24 <= info < 28:
            size = 1 << (info - 24)
            if at + size > end:
                raise DecodeError("truncated CBOR")
            argument = int.from_bytes(data[at : at + size], "big")
            at += size
        elif info == 31 and 2 <= major <= 5:
            argument = _OPEN
        elif info >= 28:
            raise DecodeError(f"a reserved length code at byte {at - 1}")
        if left[-1] != _OPEN:
            left[-1] -= 1
        tag, after_tag = after_tag, None
        if tag in _BIGNUM and (major != 2 or not 0 <= argument <= MAX_BIGNUM):
            raise DecodeError(f"a bignum of more than {MAX_BIGNUM} bytes, or none")
        if major < 2 or major == 7:
            continue
        if major == 6:
            if argument not in _TAGS:
                raise DecodeError(f"tag {argument} is not one that measurements use")
            after_tag = argument
            argument = 1
        elif argument != _OPEN:
            if major == 5:
                argument *= 2
            if argument > end - at:
                raise DecodeError(f"truncated CBOR: {argument} bytes or items announced, {end - at} bytes left")
            if major < 4:
                at += argument
                continue
        left.append(argument)
        if len(left) > MAX_DEPTH + 1:
            raise DecodeError(f"nested more than {MAX_DEPTH} levels deep")
    if at != end:
        raise DecodeError(f"{end - at} bytes behind the end of the CBOR item")


def fraction(value: Decimal) -> int | float | None:
    """A decimal fraction or bigfloat as a number; None beyond a float's range."""
    if not value.is_finite() or abs(value.adjusted()) > 400:
        return 0 if value == 0 else None
    number = float(value)
    return number if math.isfinite(number) else None
