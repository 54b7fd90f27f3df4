import logging

import pytest

from gateway.upstream import names
from gateway.upstream.names import TopicNames


def test_a_topic_gets_the_prefix() -> None:
    assert TopicNames("main", "site/")[b"a/b"] == "site/a/b"


def test_every_message_of_a_topic_gets_the_very_same_name() -> None:
    table = TopicNames("main", "site/")

    assert table[b"a/b"] is table[bytes(bytearray(b"a/b"))]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"a/+", b"#", b"a\0b", b"\xff", b"\xed\xa0\x80", b"a\nb", b"a\x1b[2J", b"\x7f", "a\u0085".encode()),
        *("\u202eevil".encode(), "\u2066a".encode(), b"a/" * 128, b"x" * 65536),
    ],
)
def test_what_is_no_topic_is_dropped(raw: bytes) -> None:
    table = TopicNames("main")

    assert table[raw] == ""
    assert table.is_malformed(raw)


def test_a_topic_too_long_with_its_prefix_is_dropped() -> None:
    assert TopicNames("main", "p" * 10)[b"x" * 65530] == ""


def test_an_excluded_topic_is_dropped_and_is_not_malformed() -> None:
    table = TopicNames("main", "", [("#", ["noise/#"])])

    assert table[b"noise/1"] == ""
    assert not table.is_malformed(b"noise/1")
    assert table[b"music"] == "music"


def test_what_another_filter_asks_for_is_not_excluded() -> None:
    table = TopicNames("main", "", [("#", ["noise/#"]), ("noise/loud", [])])

    assert table[b"noise/loud"] == "noise/loud"
    assert table[b"noise/soft"] == ""


def test_the_filter_inside_a_shared_subscription_counts() -> None:
    assert TopicNames("main", "", [("$share/g/#", ["noise/#"])])[b"noise/1"] == ""


def test_the_probe_of_the_link_goes_to_nobody() -> None:
    table = TopicNames("main", own=b"sensor-gateway/x/canary")

    assert table[b"sensor-gateway/x/canary"] == ""
    assert not table.is_malformed(b"sensor-gateway/x/canary")


def test_the_table_never_grows_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_NAMES", 10)
    table = TopicNames("main")

    for number in range(1000):
        assert table[b"t/%d" % number] == f"t/{number}"
        assert len(table) <= 10


def test_long_topics_do_not_fill_the_memory() -> None:
    table = TopicNames("main")

    for number in range(1000):
        assert table[b"x" * 60_000 + b"%d" % number]

    assert sum(map(len, table)) < names.MAX_BYTES + 70_000


def test_a_malformed_topic_is_still_known_as_such_when_the_table_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MAX_NAMES", 3)
    table = TopicNames("main")
    for number in range(10):
        assert table[b"a+%d" % number] == ""
        assert table.is_malformed(b"a+%d" % number)


def test_a_malformed_topic_is_logged_escaped_and_only_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    table = TopicNames("main")

    with caplog.at_level(logging.WARNING):
        for number in range(100):
            table[b"\x1b[2J\xff%d" % number]

    assert len(caplog.messages) == names.MAX_WARNINGS
    assert all(message.isascii() and message.isprintable() for message in caplog.messages)
