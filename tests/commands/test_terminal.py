import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.terminal import visible, visible_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("21.5 °C", "21.5 °C"),
        ("\x1b[2Jgone", "\\u001b[2Jgone"),
        ("two\nlines\r\tand", "two\\nlines\\r\\tand"),
        ("\x9b31m", "\\u009b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
    ],
)
def test_nothing_reaches_the_terminal_that_it_would_act_on(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_shown_text_is_one_printable_line(text: str) -> None:
    assert len(visible(text).splitlines()) <= 1
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in visible(text))


VALUES = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_a_json_document_keeps_its_meaning(value: object, indent: int | None, ascii_only: bool) -> None:
    text = visible_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert json.loads(text) == value
    assert len(text.splitlines()) == 1
