import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.columns import cells, padded, shortened


@pytest.mark.parametrize(
    ("text", "width"), [("barn", 4), ("21.5 °C", 7), ("温度", 4), ("e\u0301", 1), ("a\u200bb", 2), ("", 0)]
)
def test_a_wide_character_takes_two_columns_and_one_that_combines_none(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("barn", 4, "barn"),
        ("barns", 4, "bar…"),
        ("温度计", 5, "温度…"),
        ("温度计", 4, "温…"),
        ("ab", 1, "…"),
        ("a", 0, ""),
    ],
)
def test_what_is_too_long_ends_with_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert shortened(text, width) == shown


@given(st.text(), st.integers(0, 100))
def test_nothing_is_wider_than_it_may_be_and_is_filled_up_to_it(text: str, width: int) -> None:
    assert cells(padded(shortened(text, width), width)) == width
