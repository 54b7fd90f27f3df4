"""What a client is told of a message that the broker never gets."""

import json

import pytest
from support.conversation import House

from gateway.errors import CommandError

PUBLISH = '{"type":"publish","id":7,"topic":"commands/a","data":1,"qos":1}'


@pytest.mark.parametrize("code", ["upstream-down", "too-fast", "too-large", "unsupported", "forbidden"])
def test_an_error_has_the_code_of_its_reason(code: str) -> None:
    """All of them were upstream-down, and whoever tries again then tries for ever what can never be."""
    house = House()
    house.broker.down = CommandError(code, "the broker would rather not")
    [answer] = [json.loads(frame) for frame in house.client("").say(PUBLISH)][-1:]
    assert answer == {"type": "error", "id": 7, "code": code, "message": "the broker would rather not"}
