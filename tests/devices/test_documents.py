import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.readings import NOW, short

from devices import documents

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=5),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("topic", "place"),
    [("a/b/temperature", ("a/b", "temperature", None)), ("a/door/state", ("a", "door", None)),
     ("state", ("", "state", None)),
     ("a/temperature_c", ("a", "temperature", "°C")), ("a/", ("a", "value", None)), ("x", ("", "x", None)),
     ("a/" + "L" * 60_000, ("a", "l" * 64, None))],
)  # fmt: skip
def test_a_topic_names_device_and_quantity(topic: str, place: tuple[str, str, str | None]) -> None:
    assert documents.place(topic) == place


def test_a_list_of_one_record_is_the_record_and_keys_may_be_numbers() -> None:
    assert short(documents.readings("a/b", [{264: 23.5, 261: True}], NOW)) == [
        (None, "264", 23.5, None),
        (None, "261", True, None),
    ]


def test_a_bare_value_is_named_by_the_topic() -> None:
    assert short(documents.readings("a/temperature", 21.5, NOW)) == [(None, "temperature", 21.5, None)]
    assert documents.readings("a/temperature", None, NOW) == []
    assert documents.readings("a/temperature", float("inf"), NOW) == []


@pytest.mark.parametrize(
    "document",
    [
        {"external_power": {"value": True, "unit": "%"}},
        {"a": 1, "motion": True, "motion_unit": "%"},
        {"motion": True, "unit": "%"},
    ],
)
def test_what_is_on_or_off_has_no_unit_whatever_stands_beside_it(document: object) -> None:
    found = [(value, unit) for _, _, value, unit in short(documents.readings("a/b", document, NOW))]
    assert (True, None) in found
    assert (True, "%") not in found


def test_the_same_quantity_of_another_part_becomes_its_channel() -> None:
    document = {"roomTemperature": 26.5, "temperature": 26, "boilerTemp": 60}
    assert short(documents.readings("a/b", document, NOW)) == [
        ("roomTemperature", "temperature", 26.5, None),
        (None, "temperature", 26, None),
        (None, "boiler_temp", 60, None),
    ]


@given(st.text(min_size=1, max_size=20), values)
def test_any_document_yields_finite_values_with_names(topic: str, document: object) -> None:
    for reading in documents.readings(topic, document, NOW):
        assert reading.quantity
        assert not isinstance(reading.value, float) or math.isfinite(reading.value)
        assert isinstance(reading.value, bool | int | float)
