"""What clients asked for: held once for all who asked alike."""

from gateway.hub.subscription import AudienceKey, Subscription, shared


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
