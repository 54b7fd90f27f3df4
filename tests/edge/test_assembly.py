"""Fragments become a message; text is judged as it comes."""

import pytest

from gateway.edge.assembly import Assembly


def test_a_message_is_whole_with_its_last_fragment():
    assembly = Assembly(text=False)
    assert assembly.add(b"\xff", last=False) is None
    assert assembly.add(b"", last=False) is None
    assert assembly.add(b"\x00", last=True) == b"\xff\x00"


def test_a_character_may_be_cut_between_fragments():
    first, second = "ä".encode()[:1], "ä".encode()[1:]
    assembly = Assembly(text=True)
    assert assembly.add(first, last=False) is None
    assert assembly.add(second, last=True) == "ä".encode()


def test_text_that_is_no_utf_8_is_refused_at_the_fragment_that_shows_it():
    assembly = Assembly(text=True)
    with pytest.raises(UnicodeDecodeError):
        assembly.add(b"\xff", last=False)


def test_a_character_that_is_never_finished_is_refused_at_the_end():
    assembly = Assembly(text=True)
    assembly.add("ä".encode()[:1], last=False)
    with pytest.raises(UnicodeDecodeError):
        assembly.add(b"", last=True)
