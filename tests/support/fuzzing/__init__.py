"""All that is fuzzed, by name: each target takes bytes, and raises nothing whatever they are.

`SEEDS` are good inputs of each. `everything` chooses a target by the first byte of its input.
"""

from collections.abc import Callable

from support.fuzzing import devices, dialects, edge, inwards, rules

Target = Callable[[bytes], None]

_PARTS = (edge, rules, dialects, inwards, devices)
SINGLE: dict[str, Target] = {target.__name__: target for part in _PARTS for target in part.TARGETS}
SEEDS: dict[str, list[bytes]] = {name: seeds for part in _PARTS for name, seeds in part.SEEDS.items()}


def everything(data: bytes) -> None:
    """One of the others, by the first byte."""
    if data:
        targets = list(SINGLE.values())
        targets[data[0] % len(targets)](data[1:])


TARGETS = {**SINGLE, "everything": everything}
SEEDS["everything"] = [bytes((number,)) + seed for number, name in enumerate(SINGLE) for seed in SEEDS[name]]
