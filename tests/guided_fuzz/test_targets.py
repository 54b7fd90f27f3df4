"""The fuzz targets over their seeds and some noise: `make fuzz` goes on from there for as long as it may."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module", autouse=True)
def quiet():
    yield
    logging.disable(logging.NOTSET)


def target(name):
    from support import edgetargets as targets

    return targets.TARGETS[name]


NAMES = ["request", "websocket", "json_commands", "msgpack_commands", "filters", "origins", "preludes", "everything"]


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_and_every_cut_of_it_is_survived(name):
    from support.edgetargets import SEEDS

    for seed in SEEDS.get(name, []):
        for size in range(0, len(seed) + 1, 3):
            target(name)(seed[:size])
        target(name)(seed)


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_survived(name):
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=300))
    def run(data):
        target(name)(data)

    run()


def test_a_seed_reaches_what_it_is_for():
    from support.edgetargets import SEEDS, frame, house, upgrade

    assert house().visit(SEEDS["request"][0]).startswith(b"HTTP/1.1 200 ")
    assert b'"type":"message"' in house().visit(SEEDS["request"][1])
    said = house().visit(upgrade() + frame(1, SEEDS["json_commands"][0].split(b"\n")[0]))
    assert b'"replayed"' in said
