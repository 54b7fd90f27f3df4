"""How values of the file are written in messages and examples."""

import datetime

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.leaf import describe, quote


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_read_back_as_it_was(text: str) -> None:
    assert tomli.loads(f"value = {quote(text)}") == {"value": text}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        ("a\n", '"a\\n"'),
        (8883, "8883"),
        (1.5, "1.5"),
        ({"a": 1}, "a table"),
        ([1], "a list"),
        (datetime.date(2026, 1, 1), "a date or time"),
    ],
)
def test_a_value_is_named_by_what_it_is(value: object, expected: str) -> None:
    assert describe(value) == expected


def test_what_is_long_is_cut() -> None:
    assert describe("x" * 61) == '"' + "x" * 57 + '..."'
    assert describe(10**80) == "1" + "0" * 59
