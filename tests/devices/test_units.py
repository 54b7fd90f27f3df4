import pytest

from devices import units


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [("℃", "°C"), ("C", "°C"), ("%rH", "%"), ("percent", "%"), ("μg/m³", "µg/m³"), ("m3", "m³"), ("lux", "lx"),
     ("KWH", "kWh"),
     ("mW", "mW"), ("MW", "MW"), (" ", None), ("", None), (None, None), (5, None), ("x" * 500, None),
     ("bananas", "bananas")],
)  # fmt: skip
def test_units_have_one_spelling_inside(spelling: object, unit: str | None) -> None:
    assert units.unit(spelling) == unit


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [(70.7, "°F", "°C", 21.5), (0, "K", "°C", -273.15), (1, "kPa", "hPa", 10), (1, "bar", "hPa", 1000),
     (1, "mmHg", "hPa", 1.33322387415), (1, "psi", "hPa", 68.9475729), (60, "Wmin", "Wh", 1), (1, "in", "mm", 25.4),
     (3.6, "km/h", "m/s", 1), (21.5, "°C", "°C", 21.5)],
)  # fmt: skip
def test_conversions_are_exact(value: float, source: str, target: str, result: float) -> None:
    assert units.convert(value, source, target) == pytest.approx(result, rel=1e-12)
    assert units.convert(result, target, source) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("source", "target"), [("°C", "hPa"), ("W", "Wh"), ("bananas", "m"), ("K", "m")])
def test_what_measures_different_things_is_not_converted(source: str, target: str) -> None:
    with pytest.raises(ValueError, match="cannot express"):
        units.convert(1.0, source, target)


def test_every_unit_that_can_be_converted_is_a_known_unit() -> None:
    for unit in units.FACTORS:
        assert units.known_unit(unit) == unit
