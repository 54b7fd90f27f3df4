"""What may stand in a JSON document as it is, held against Python's own parser."""

import json
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edge.dialects.verbatim import MAX_DEPTH, is_json

PIECES = st.sampled_from(
    [
        *(b'"', b"\\", b"\\u", b"d83d", b"\\ude00", b"00e9", b"n", b"\n", b"\x1f", b"\x7f", b" ", b"/"),
        *(b"{", b"}", b"[", b"]", b":", b",", b"-", b"+", b".", b"0", b"12", b"e", b"E5", b"true", b"null", b"nan"),
        *("é".encode(), "😀".encode(), b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    ]
)


def parses(payload: bytes) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)  # a bound of Python's own
    try:
        # Python takes half of a surrogate pair for a character; no UTF-8 can hold it.
        json.dumps(json.loads(payload.decode(), parse_constant=refuse), ensure_ascii=False).encode()
    except ValueError:
        return False
    finally:
        sys.set_int_max_str_digits(digits)
    return True


@given(
    st.one_of(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
        st.lists(PIECES, max_size=12).map(b"".join),
        st.lists(PIECES, max_size=8).map(lambda pieces: b'"' + b"".join(pieces) + b'"'),
        st.binary(max_size=20),
    )
)
@example(b'"\\ud83d\\ude00"')
@example(b'"\\ud83d"')
@example(b'"\xc3\xa9"')
@example(b'"\xff"')
@example(b"\xef\xbb\xbf1")
@example(b"01")
@example(b"1 2")
@example(b"")
def test_verbatim_is_what_another_parser_takes(payload):
    assert is_json(payload) == parses(payload)


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 5000, b"0." + b"1" * 5000])
def test_a_number_of_any_size_is_json(number):
    assert is_json(number)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_document_is_under_512_levels_deep(opening, closing):
    def nested(levels: int) -> bytes:
        return opening * levels + b"1e400" + closing * levels

    assert is_json(nested(MAX_DEPTH - 1))
    assert not is_json(nested(MAX_DEPTH))
    assert not is_json(nested(100_000))
    assert is_json(b"[" + b",".join([nested(3)] * 1000) + b"]"), "broad is not deep"
