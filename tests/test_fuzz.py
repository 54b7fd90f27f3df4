import random

import pytest
from support.fuzztargets import TARGETS, Target, mutate, parsed_seed, run

ROUNDS = 300


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_bytes_of_a_stranger_raise_what_nobody_expects(target: Target) -> None:
    parsed_seed(target)
    rng = random.Random(target.name)
    for _ in range(ROUNDS):
        found = run(target, rng)
        if found is not None:
            target.feed(found)


def test_a_stumble_is_found() -> None:
    def stumble(data: bytes) -> None:
        if b"#" in data:
            raise KeyError(data)

    target = Target("stumbles", stumble, [b"abc"], (ValueError,))
    rng = random.Random(1)
    assert any(run(target, rng) for _ in range(1000))


def test_mutations_stay_bounded_and_differ() -> None:
    rng = random.Random(1)
    made = {mutate(rng, [b"x" * 30_000, b"abc"]) for _ in range(200)}
    assert len(made) > 150
    assert max(map(len, made)) <= 20_000
