"""Figures that are more than a number read off a part."""

from types import SimpleNamespace
from typing import Any

from gateway.lifecycle.figures import Figures


def test_of_two_certificates_for_one_name_the_one_that_ends_first_is_shown() -> None:
    def endpoint(not_after: float, *names: str) -> Any:
        facts = SimpleNamespace(names=names, common_name="", not_after=not_after)
        return SimpleNamespace(tls=SimpleNamespace(facts=facts))

    endpoints = [endpoint(200, "a.example"), endpoint(100, "a.example"), endpoint(300, "a.example"), endpoint(50, "b")]
    house: Any = SimpleNamespace(server=SimpleNamespace(listeners=SimpleNamespace(endpoints=endpoints)))
    health: Any = None
    assert dict(Figures(house, health)._certificates()) == {("a.example",): 100.0, ("b",): 50.0}
