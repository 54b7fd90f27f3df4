"""Topic rules against a naive matcher, and against brute force over small alphabets (MQTT 5.0, 4.7)."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.topics import (
    MAX_LEVELS,
    Trie,
    covers,
    matches,
    overlaps,
    unshared,
    validate_filter,
    validate_topic,
)

LEVELS = ["", "a", "b", "$s", "é"]
topics = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=5).map("/".join).filter(bool)


@st.composite
def filters(draw):
    levels = draw(st.lists(st.sampled_from([*LEVELS, "+", "+"]), min_size=0, max_size=4))
    if draw(st.booleans()) or not levels:
        levels.append("#")
    return "/".join(levels) or "#"


def naive(filter, topic):
    """The standard's rules, recursively, one sentence each."""
    wanted, got = filter.split("/"), topic.split("/")
    if got[0].startswith("$") and wanted[0] in ("+", "#"):
        return False

    def walk(f, t):
        if f == ["#"]:
            return True
        if not f or not t:
            return not f and not t
        if f[0] in ("+", t[0]):
            # "sport/#" also matches the singular "sport" (4.7.1.2)
            return walk(f[1:], t[1:])
        return False

    return walk(wanted, got)


@given(filters(), topics)
def test_matches_agrees_with_the_naive_matcher(filter, topic):
    assert matches(filter, topic) == naive(filter, topic)


@given(st.lists(filters(), max_size=12), st.lists(topics, max_size=12))
def test_trie_agrees_with_the_naive_matcher(wanted, published):
    trie = Trie()
    for number, filter in enumerate(wanted):
        trie.add(filter, number)
    for topic in published:
        assert trie.match(topic) == {n for n, f in enumerate(wanted) if naive(f, topic)}


@given(st.lists(st.tuples(filters(), st.integers(0, 2)), max_size=20), st.data())
def test_trie_forgets_what_is_removed_and_keeps_the_rest(pairs, data):
    trie = Trie()
    held = set(pairs)
    for filter, key in pairs:
        trie.add(filter, key)
    assert len(trie) == len(held)
    for pair in data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []:
        trie.remove(*pair)
        trie.remove(*pair)
        held.discard(pair)
    assert len(trie) == len(held)
    for topic in ["a", "a/b", "/a", "$s/a", "é", "a/b/a/b"]:
        assert trie.match(topic) == {k for f, k in held if naive(f, topic)}
    for filter, key in held:
        trie.remove(filter, key)
    assert not trie._root.children
    assert not trie._exact


ALPHABET = ["/".join(p) for n in (1, 2, 3, 4) for p in product(["a", "b", "", "$s"], repeat=n) if "/".join(p)]


@given(filters(), filters())
def test_covers_is_never_unsafe_and_nearly_exact(allowed, wanted):
    contained = all(matches(allowed, t) for t in ALPHABET if matches(wanted, t))
    if covers(allowed, wanted):
        assert contained


@given(filters(), filters())
def test_overlaps_agrees_with_brute_force(one, other):
    common = any(matches(one, t) and matches(other, t) for t in ALPHABET)
    if common:
        assert overlaps(one, other)


@pytest.mark.parametrize(
    ("filter", "topic", "expected"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/#", "sport", True),
        ("#", "$SYS/broker", False),
        ("+/broker", "$SYS/broker", False),
        ("$SYS/#", "$SYS/broker", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("a//b", "a//b", True),
        ("ACCOUNTS", "Accounts", False),
    ],
)
def test_examples_of_the_standard(filter, topic, expected):
    assert matches(filter, topic) is expected
    trie = Trie()
    trie.add(filter, 1)
    assert bool(trie.match(topic)) is expected


@pytest.mark.parametrize(
    "filter",
    ["", "a/#/b", "a#", "#a", "a+", "+a/b", "a/b+/c", "a\0b", "\ud800", "x" * 65_536, "a/" * MAX_LEVELS + "a"],
    ids=range(11),
)
def test_wrong_filters_are_refused(filter):
    with pytest.raises(ValueError, match=r"."):
        validate_filter(filter)


@pytest.mark.parametrize("filter", ["#", "+", "/", "//", "+/+/#", "a/+/b", "x" * 65_535, "a/" * (MAX_LEVELS - 1) + "a"])
def test_right_filters_pass(filter):
    validate_filter(filter)


@pytest.mark.parametrize(
    ("filter", "inside"), [("$share/group/a/+/b", "a/+/b"), ("$share/odd", "$share/odd"), ("a/b", "a/b")]
)
def test_the_filter_inside_a_shared_subscription(filter, inside):
    assert unshared(filter) == inside


def test_a_topic_holds_no_wildcard():
    for topic in ("a/+", "#", "a+b"):
        with pytest.raises(ValueError, match="wildcard"):
            validate_topic(topic)
    validate_topic("a/b c/é/")


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.lists(st.sampled_from(["a", "a/b", "a/+", "#", "+/b", "$x", "b"]), max_size=5),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_many_filters_at_once_do_what_one_by_one_does(steps):
    one_by_one, at_once = Trie(), Trie()
    for adds, filters, key in steps:
        for filter in filters:
            (one_by_one.add if adds else one_by_one.remove)(filter, key)
        (at_once.add_all if adds else at_once.remove_all)(filters, key)
        assert len(one_by_one) == len(at_once)
        for topic in ("a", "a/b", "b", "$x", "c/b"):
            assert one_by_one.match(topic) == at_once.match(topic)
