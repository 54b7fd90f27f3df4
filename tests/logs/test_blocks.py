import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.message import Message
from gateway.logs.blocks import DamagedBlock, pack, topics_of, unpack

MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(("a", "b/c", "ü/ ")),
        st.binary(max_size=40),
        st.none() | st.floats(0, 4e9),
        st.sampled_from(("one", "two")),
        st.booleans(),
        st.integers(0, 1 << 30),
        mid=st.integers(0, 65_535),
    ),
    min_size=1,
    max_size=50,
)


@given(MESSAGES, st.integers(1, 1 << 50))
def test_a_block_reads_back_as_it_was_packed(messages, first):
    for place, message in enumerate(messages):
        message.offset = first + place
    block = pack(messages)
    assert (block.first, block.last) == (first, first + len(messages) - 1)
    assert unpack(first, topics_of(block.topics), block.body) == messages
    stamps = [m.timestamp for m in messages if m.timestamp is not None]
    if stamps:
        assert (block.since, block.until) == (min(stamps), max(stamps))


@given(st.data())
def test_a_damaged_block_is_found_out(data):
    messages = [Message(f"t/{n % 3}", b'{"value":%d}' % n, 1.0, "u", offset=n + 1) for n in range(40)]
    block = pack(messages)
    body = bytearray(block.body)
    place = data.draw(st.integers(2, len(body) - 1))
    body[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = unpack(1, topics_of(block.topics), bytes(body))
    except DamagedBlock:
        return
    # Deflate has bits that say nothing (RFC 1951, 3.2.4: up to the next byte): what is read is what was written.
    assert found == messages


@pytest.mark.parametrize("data", [b"", b"x", b"\x78\x01\x01"])
def test_what_is_no_block_is_an_error(data):
    with pytest.raises(DamagedBlock):
        topics_of(data)
    with pytest.raises(DamagedBlock):
        unpack(1, [], data)
