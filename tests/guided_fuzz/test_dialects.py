"""The dialects' fuzz targets over their seeds and some noise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzzdialects import SEEDS, TARGETS, converse


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_and_every_cut_of_it_is_survived(name):
    for seed in SEEDS[name]:
        for size in range(len(seed) + 1):
            TARGETS[name](seed[:size])


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_noise_in_a_seed_is_survived(name, data):
    seed = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(seed) - 1), st.integers(0, 255)), max_size=5)):
        seed[at] = value
    TARGETS[name](bytes(seed) + data.draw(st.binary(max_size=40)))


def test_seeds_reach_what_they_are_for():
    assert b"\x90\x03\x00\x01\x01" in converse("mqtt", [SEEDS["mqtt"][0][1:]])[0]
    assert b'437[{"type":"ok"' in converse("/socket.io/", ["40", SEEDS["socketio"][0].decode().split("\n")[0]])[0]
