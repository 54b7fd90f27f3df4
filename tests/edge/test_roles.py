"""Verdicts on filters: containment is proved against brute force over all topics of a small alphabet."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.roles import Role, for_user, grant, may_publish, may_see, narrowed
from gateway.topics import matches, overlaps, validate_filter

LEVELS = ("a", "b", "$x", "")
TOPICS = ["/".join(parts) for size in range(1, 5) for parts in product(LEVELS, repeat=size) if "/".join(parts)]


def _valid(text: str) -> bool:
    try:
        validate_filter(text)
    except ValueError:
        return False
    return True


filters = st.lists(st.sampled_from(["a", "b", "+", "#", "$x", ""]), min_size=1, max_size=4).map("/".join).filter(_valid)


@settings(max_examples=600, deadline=None)
@given(st.lists(filters, max_size=3), filters, st.lists(filters, max_size=2))
def test_what_is_granted_shows_nothing_that_the_role_may_not_see(subscribe, wanted, deny):
    role = Role("r", subscribe=tuple(subscribe), deny=tuple(deny))
    verdict = grant(role, wanted)
    if not verdict.granted:
        assert verdict.reason
        return
    for topic in TOPICS:
        if matches(wanted, topic) and not any(matches(d, topic) for d in deny):
            assert may_see(role, topic)


@settings(max_examples=400, deadline=None)
@given(filters, filters)
def test_containment_is_exact_but_for_filters_that_begin_empty(allowed, wanted):
    contained = all(matches(allowed, topic) for topic in TOPICS if matches(wanted, topic))
    granted = grant(Role("r", subscribe=(allowed,)), wanted).granted
    if granted:
        assert contained
    # Filters too deep for the topics tried, and such with an empty first level, may be refused though contained.
    elif contained and any(matches(wanted, topic) for topic in TOPICS) and len(wanted.split("/")) < 4:
        assert "" in (*allowed.split("/"), *wanted.split("/")) or "#" in wanted or len(allowed.split("/")) > 3


@settings(max_examples=400, deadline=None)
@given(filters, filters)
def test_overlap_is_what_some_topic_proves(one, other):
    if any(matches(one, topic) and matches(other, topic) for topic in TOPICS):
        assert overlaps(one, other)


def test_deny_beats_allow_and_is_told():
    role = Role("r", subscribe=("plant/#",), publish=("plant/#",), deny=("plant/secret/#",))
    assert not grant(role, "plant/secret/x").granted
    assert grant(role, "plant/+/x").reason == "without plant/secret/#"
    assert not may_see(role, "plant/secret/x")
    assert not may_publish(role, "plant/secret/x")
    assert may_publish(role, "plant/open")


def test_viewers_publish_nothing():
    assert not may_publish(Role("viewer", subscribe=("#",)), "a")


def test_the_users_name_stands_in_for_its_placeholder():
    role = Role("r", subscribe=("home/%u/#",), publish=("cmd/%u",), deny=("home/%u/x",))
    mine = for_user(role, "ann")
    assert (mine.subscribe, mine.publish, mine.deny) == (("home/ann/#",), ("cmd/ann",), ("home/ann/x",))


@pytest.mark.parametrize("user", ["", "+", "#", "a/b", "a\0", "$SYS"])
def test_a_name_that_would_open_what_is_anothers_is_refused(user):
    with pytest.raises(ValueError, match="user name cannot stand there"):
        for_user(Role("r", subscribe=("home/%u/#",)), user)
    assert for_user(Role("r", subscribe=("#",)), user).subscribe == ("#",)


def test_a_credential_narrows_and_never_widens():
    role = Role("r", subscribe=("plant/#",))
    assert narrowed(role, ("plant/a", "other", "#", "bad/#/x")).subscribe == ("plant/a",)
    assert narrowed(role, ()).subscribe == ()
