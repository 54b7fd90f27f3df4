"""Every family against payloads of real devices: 98 % of what any correct decoder gets right, 85 % of the rest.

The score of each family is printed: `pytest -s tests/devices/test_samples.py`.
"""

import pytest
from support import samples

from devices.registry import Registry

CORE, EDGE = 0.98, 0.85


def wrong(family: str, tier: str) -> tuple[int, list[str]]:
    """How many samples of the tier there are, and what is wrong with those that are not decoded as they should be."""
    tested, faults = 0, []
    for sample in samples.load(family):
        if sample["tier"] == tier:
            tested += 1
            fault = samples.judge(sample, *samples.run(sample, Registry()))
            if fault is not None:
                faults.append(f"{sample['id']} ({sample['topic'][:80]}): {fault[:300]}")
    return tested, faults


@pytest.mark.parametrize("family", samples.families())
def test_a_family_decodes_as_its_documentation_says(family: str) -> None:
    report = []
    for tier, least in (("core", CORE), ("edge", EDGE)):
        tested, faults = wrong(family, tier)
        report += faults
        if tested:
            print(f"{family}: {tier} {tested - len(faults)} of {tested}")
            # Of fifty or fewer samples 98 % is all of them.
            assert len(faults) <= tested * (1 - least) + 1e-9, "\n".join(report)


def test_all_samples_together_reach_the_figures() -> None:
    for tier, least in (("core", CORE), ("edge", EDGE)):
        results = [wrong(family, tier) for family in samples.families()]
        tested = sum(count for count, _ in results)
        missed = sum(len(faults) for _, faults in results)
        print(f"all families: {tier} {tested - missed} of {tested} ({100 * (tested - missed) / tested:.1f} %)")
        assert 1 - missed / tested >= least


def test_one_registry_for_all_families_at_once_never_raises() -> None:
    registry = Registry()
    for family in samples.families():
        for sample in samples.load(family):
            samples.run(sample, registry)
    assert len(list(registry.devices(samples.NOW))) > 100
