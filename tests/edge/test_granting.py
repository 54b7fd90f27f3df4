"""What a role grants of a subscribe, and what it says about the rest."""

from gateway.edge.commands import Subscribe
from gateway.edge.granting import request_of
from gateway.edge.roles import Role

NARROW = Role("viewer", subscribe=("open/#",), deny=("open/secret",))


def test_each_filter_has_its_own_answer_and_the_last_refusal_is_kept():
    request = request_of(Subscribe(topics=["open/a", "closed/a", "open/a", "a/#/b"]), NARROW)
    assert [(result["filter"], result["granted"]) for result in request.results] == [
        ("open/a", True),
        ("closed/a", False),
        ("a/#/b", False),
    ]
    assert [subscription.filter for subscription in request.granted] == ["open/a"]
    assert request.refused_filters == ["closed/a", "a/#/b"]
    assert request.refused is not None
    assert request.refused.code == "bad-filter"


def test_what_was_asked_for_beside_the_filter_is_kept():
    command = Subscribe(topics=["open/#"], mode="latest", interval=2.0, readings=True, data=False)
    [subscription] = request_of(command, NARROW).granted
    assert (subscription.latest, subscription.interval, subscription.readings, subscription.data) == (
        True,
        2.0,
        True,
        False,
    )
    assert request_of(command, NARROW).refused is None
