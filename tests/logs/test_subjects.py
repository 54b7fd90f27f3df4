import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.logs.subjects import LONGEST, Subjects, subject_of, subjects_of_filter, topic_of
from gateway.topics import matches

CHARACTERS = st.one_of(
    st.sampled_from("/./. *>/asu\x01\x7f\t$ü"), st.characters(exclude_characters="+#\x00", exclude_categories=("Cs",))
)
TOPICS = st.text(CHARACTERS, min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("topic", "subject"),
    [  # as a nats-server 2.15 stores what its MQTT listener receives
        ("s/a", "s.a"),
        ("s//b", "s./.b"),
        ("s/a.b/", "s.a//b./"),
        ("s/ü*", "s.ü*"),
        ("s/>x", "s.>x"),
        ("s", "s"),
        ("/a", "/.a"),
        ("//a", "/./.a"),
        ("/", "/./"),
        ("a///b", "a././.b"),
        ("a//", "a././"),
        (".", "//"),
    ],
)
def test_the_mapping_is_that_of_nats(topic, subject):
    assert subject_of(topic) == subject
    assert topic_of(subject) == topic


@pytest.mark.parametrize(
    ("topic", "subject"),
    [("a b", "a/sb"), (" /", "/s./"), ("a/*/b", "a./*.b"), (">", "/>"), ("a\tb", "a/u0009b"), ("/u0009", "/.u0009")],
)
def test_what_nats_cannot_have_is_escaped(topic, subject):
    assert subject_of(topic) == subject
    assert topic_of(subject) == topic


@given(TOPICS)
@example("a/ /. /")
@example("/s")
@example("//u0020")
def test_every_topic_comes_back(topic):
    subject = subject_of(topic)
    assert topic_of(subject) == topic
    tokens = subject.split(".")
    assert all(tokens), "a token of NATS is never empty"
    assert not {"*", ">"} & set(tokens), "nobody publishes to a wildcard"
    assert not any(character <= " " or character == "\x7f" for character in subject)


@given(st.lists(st.sampled_from(["a", "b", "", "."]), min_size=1, max_size=4), st.data())
def test_a_filter_of_the_stream_matches_what_it_matches_in_mqtt(levels, data):
    topic = "/".join(levels)
    if not topic:
        return
    filter = "/".join(data.draw(st.sampled_from([level, "+"])) for level in levels)
    cut = data.draw(st.integers(0, len(levels)))
    if cut < len(levels):
        filter = "/".join([*filter.split("/")[:cut], "#"])
    if not filter:
        return
    assert matches(filter, topic)
    assert any(_nats_matches(each, subject_of(topic)) for each in subjects_of_filter(filter))


def test_a_filter_takes_its_parent_along():
    assert subjects_of_filter("a/#") == ("a", "a.>")
    assert subjects_of_filter("#") == (">",)
    assert subjects_of_filter("/#") == ("/.>",)
    assert subjects_of_filter("+/b") == ("*.b",)


def _nats_matches(filter, subject):
    wanted, found = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(found) >= len(wanted) and all(w in ("*", f) for w, f in zip(wanted[:-1], found, strict=False))
    return len(wanted) == len(found) and all(w in ("*", f) for w, f in zip(wanted, found, strict=True))


class TestSubjects:
    def test_a_prefix_stands_before_every_subject(self):
        subjects = Subjects("site.a")
        assert subjects["x/y"] == "site.a.x.y"
        assert subjects.topic("site.a.x.y") == "x/y"
        assert subjects.held(["#"]) == ["site.a.>"]

    def test_a_topic_is_the_very_same_text_every_time(self):
        subjects = Subjects("p")
        assert subjects.topic("p.a") is subjects.topic("p.a")

    def test_without_a_prefix_the_stream_holds_what_the_filters_say(self):
        assert Subjects("").held(["s/#", "t"]) == ["s", "s.>", "t", "/long.*"]

    def test_a_topic_longer_than_a_command_of_nats_is_named_by_its_hash(self):
        subjects = Subjects("p")
        long = "x" * (LONGEST + 1)
        subject = subjects[long]
        assert len(subject) < 100
        assert subjects.is_long(subject)
        assert subject != subjects[long + "y"]
        assert not subjects.is_long(subjects["/long/x"])

    def test_a_subject_that_is_no_topic_of_mqtt_has_none(self):
        assert Subjects("").topic("a.+") == ""
