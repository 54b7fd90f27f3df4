"""Where a request ends, however it is cut."""

import pytest

from gateway.edge.http import MAX_REQUEST
from gateway.edge.requesthead import RequestHead

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_what_comes_behind_the_head_is_left():
    assert RequestHead().take(REQUEST + b"frame") == len(REQUEST)


@pytest.mark.parametrize("size", range(1, len(REQUEST) + 1))
def test_the_end_is_found_across_pieces(size):
    head, taken, data = RequestHead(), b"", REQUEST + b"frame"
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        mine = head.take(piece)
        taken += piece[:mine]
        if mine < len(piece) or taken.endswith(b"\r\n\r\n"):
            break
    assert taken == REQUEST


def test_a_head_may_be_as_long_as_the_limit_and_not_a_byte_longer():
    full = b"x" * (MAX_REQUEST - 4) + b"\r\n\r\n"
    assert RequestHead().take(full) == MAX_REQUEST
    with pytest.raises(ValueError, match=str(MAX_REQUEST)):
        RequestHead().take(b"x" + full)
