"""What the hub promises it promises whichever way the bytes go: by a send for each viewer, or in volleys."""

from collections.abc import Iterator

import pytest
from support.hubhouse import House


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if vars(metafunc.module).get("House") is House:
        metafunc.parametrize("volleys", [False, True], ids=["one by one", "in volleys"], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def volleys(request: pytest.FixtureRequest) -> Iterator[None]:
    House.volleys = getattr(request, "param", False)
    yield
    House.volleys = False
