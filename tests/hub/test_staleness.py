import pytest

from gateway.hub.staleness import limits_of, tells_of_doors


def test_the_first_rule_that_says_a_time_wins():
    limit = limits_of([("a/#", None), ("a/b", 5.0), ("a/+", 7.0)])
    assert [limit(topic) for topic in ("a/b", "a/c", "b")] == [5.0, 7.0, None]


@pytest.mark.parametrize(
    ("topic", "door"),
    [("hall/door", True), ("hall/Motion_2", True), ("hall/indoor", False), ("window-3/state", True), ("doors", False)],
)
def test_doors_are_known_by_their_names(topic, door):
    assert tells_of_doors(topic) is door
