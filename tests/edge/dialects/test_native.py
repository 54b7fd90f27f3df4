"""Mistakes of a client of the native protocol: each gets its code, and a sentence in the client's own words."""

import msgspec
import pytest

from gateway.edge.commands import ReplayAge, ReplayCount, ReplayFrom, replay_in
from gateway.edge.dialects.msgpack import NativeMsgpack
from gateway.edge.dialects.native import NativeJson
from gateway.errors import CommandError

ROWS = [
    ('{"type":"publish","topic":"a","data":1,"qos":1.0}', "unsupported", "qos is 0, 1 or 2"),
    ('{"type":"publish","topic":"a","data":1,"qos":true}', "unsupported", "qos is 0, 1 or 2"),
    (
        '{"type":"publish","topic":"a"}',
        "bad-json",
        'a publish carries data; an empty payload is "" with encoding "text"',
    ),
    ('{"type":"history","topic":"a"}', "unsupported", "missing required field `from`"),
    ('{"type":"history","topic":"a","from":0}', "unsupported", "missing required field `to`"),
    ('{"type":"history","topic":"a","from":0,"to":"now"}', "unsupported", "$.to"),
    ('{"type":"history","topic":"a","since":0,"until":1}', "unsupported", "missing required field `from`"),
    ('{"type":"subscribe","topics":["a"],"replay":{"count":-1}}', "unsupported", "`int` >= 0"),
    ('{"type":"subscribe","topics":["a"],"replay":{"age":-0.5}}', "unsupported", "`float` >= 0"),
    ("{}", "unknown-type", "a command names its type; known are subscribe,"),
    ('{"type":null}', "unknown-type", "a command names its type"),
    ('{"type":true}', "unknown-type", "type true is unknown; known are subscribe,"),
    ('{"type":"subscribe","topics":["a"],"mode":null}', "unsupported", 'mode is "all" or "latest", not null'),
]


@pytest.mark.parametrize(("text", "code", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_a_mistake_is_told_as_the_client_wrote_it(text, code, words):
    """A `qos` of 1.0 reached the broker's client, which fell over it; history missed a `since` that is named `from`."""
    in_msgpack = msgspec.msgpack.encode(msgspec.json.decode(text))
    for [error] in (NativeJson().commands(text.encode(), text=True), NativeMsgpack().commands(in_msgpack, text=False)):
        assert isinstance(error, CommandError)
        assert (error.code, words in error.text) == (code, True), error


@pytest.mark.parametrize(
    ("word", "replay"),
    [
        ("last", "last"),
        ("none", "none"),
        ("count:10", ReplayCount(10)),
        ("age:0.5", ReplayAge(0.5)),
        ("e1:7", ReplayFrom("e1", 7)),
    ],
)
def test_a_replay_as_one_word(word, replay):
    assert replay_in(word) == replay


@pytest.mark.parametrize(
    "word",
    ["", "all", "count:", "count:-1", "count:1_0", "count:1.5", "age:nan", "age:-1", "age:-inf", "e1:x", "e1:-1"],
)
def test_a_word_that_is_no_replay_is_refused(word):
    """Python's own reading of numbers took count:1_0 and age:nan for what they are not."""
    with pytest.raises(ValueError, match="replay is last, none, count:N, age:SECONDS or EPOCH:OFFSET"):
        replay_in(word)
