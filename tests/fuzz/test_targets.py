"""The fuzz targets over their seeds and some noise: `make fuzz` goes on from there, by coverage, as long as it may."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzzing import SEEDS, SINGLE, TARGETS
from support.fuzzing.dialects import converse
from support.fuzzing.edge import frame, house, upgrade

CUTS = 40  # of a seed


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.disable()  # what is refused is said there, thousands of times
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_and_many_cuts_of_it_are_survived(name):
    for seed in SEEDS[name][:60]:
        for size in range(0, len(seed), max(1, len(seed) // CUTS)):
            TARGETS[name](seed[:size])
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_noise_in_a_seed_is_survived(name, data):
    seed = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(seed)))
        cut = data.draw(st.sampled_from((0, 0, 1, 4, 64)))
        seed[at : at + cut] = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(INTERESTING)))
    TARGETS[name](bytes(seed[:20_000]))


INTERESTING = (
    *(b"\0", b"\xff\xff\xff\xff", b"\x80" * 4, b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\x1b[2J"),
    *(b"-1", b"1e999", b"NaN", b"Infinity", b"9" * 400, b"true", b"null", b'""', b"{}", b"[" * 600, b'{"a":' * 50),
    *(b"+", b"#", b"/", b"$", b"%", b"%00", b"%ff", b"\\u0000", b"\\ud800", b"\n", b"\r\n", b'"', b"'''", b'"""'),
)


def test_a_stumble_is_a_finding():
    """Nothing between a target and the fuzzer swallows what went wrong."""
    name = list(SINGLE).index("filters")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("support.fuzzing.rules.matches", lambda filter, topic: False)
        with pytest.raises(AssertionError):
            TARGETS["everything"](bytes((name,)) + b"a/#\nb\na/x")


def test_seeds_reach_what_they_are_for():
    assert house().visit(SEEDS["request"][0]).startswith(b"HTTP/1.1 200 ")
    assert b'"type":"message"' in house().visit(SEEDS["request"][1])
    said = house().visit(upgrade() + frame(1, SEEDS["json_commands"][0].split(b"\n")[0]))
    assert b'"replayed"' in said
    assert b"\x90\x03\x00\x01\x01" in converse("mqtt", [SEEDS["mqtt"][0][1:]])[0]
    assert b'437[{"type":"ok"' in converse("/socket.io/", ["40", SEEDS["socketio"][0].decode().split("\n")[0]])[0]
