"""What clients asked for: held once for all who asked alike."""

import pytest

from gateway.hub.subscription import AudienceKey, Subscription, View, shared


def test_all_who_ask_alike_share_one_object_and_its_filter():
    mine = shared("".join(("sensors/", "#")), False, 0.0, False, True)
    yours = shared("".join(("sensors/", "#")), False, 0.0, False, True)
    assert mine is yours
    assert mine == Subscription("sensors/#")


def test_what_was_asked_for_otherwise_is_kept_apart():
    asked = [
        shared("a", False, 0.0, False, True),
        shared("a", True, 0.0, False, True),
        shared("a", False, 1.0, False, True),
        shared("a", False, 0.0, True, True),
        shared("a", False, 0.0, False, False),
        shared("b", False, 0.0, False, True),
    ]
    assert len(set(asked)) == len(asked)


def test_an_audience_wants_what_a_filter_brings_and_no_deny_takes():
    key = AudienceKey("variant", (Subscription("a/#"), Subscription("b")), ("a/secret",))
    assert [key.wants(topic) for topic in ("a/x", "b", "a/secret", "c")] == [True, True, False, False]
    assert key == AudienceKey("variant", (Subscription("a/#"), Subscription("b")), ("a/secret",))
    assert key != AudienceKey("variant", (Subscription("a/#"),), ("a/secret",))


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([Subscription("t", interval=1.0), Subscription("#", interval=5.0)], 1.0),
        ([Subscription("t", interval=1.0), Subscription("#")], 0.0),
        ([Subscription("t", interval=1.0), Subscription("x")], 1.0),
        ([Subscription("x", interval=1.0)], 0.0),
    ],
)
def test_of_overlapping_subscriptions_the_shortest_interval_wins(table, expected):
    assert AudienceKey("variant", tuple(table)).interval("t") == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([Subscription("t", latest=True), Subscription("#"), Subscription("x/+", latest=True)], False),
        ([Subscription("t", latest=True), Subscription("+", latest=True), Subscription("x")], True),
        ([Subscription("x", latest=True)], False),
    ],
)
def test_of_overlapping_subscriptions_all_wins_over_latest(table, expected):
    assert AudienceKey("variant", tuple(table)).latest("t") is expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([Subscription("t", readings=True, data=False), Subscription("#")], View(readings=True, data=True)),
        ([Subscription("t", readings=True, data=False), Subscription("x")], View(readings=True, data=False)),
        ([Subscription("t"), Subscription("x", readings=True)], View(readings=False, data=True)),
    ],
)
def test_of_overlapping_subscriptions_the_most_demanding_says_what_is_shown(table, expected):
    assert AudienceKey("variant", tuple(table)).view("t") == expected
