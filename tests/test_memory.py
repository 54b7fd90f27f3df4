"""The memory contract: shares of one budget, and a refusal with numbers of what cannot fit."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.configfolder import Folder

from gateway.config import Config, ConfigError
from gateway.memory import BASE, PER_CONNECTION, machine_limits, resolve_memory

MIB = 1024**2
GIB = 1024**3


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("cgroup", "ram", "budget"),
    [
        (None, 8 * GIB, 256 * MIB),
        (None, 512 * MIB, 128 * MIB),
        (200 * MIB, 8 * GIB, 140 * MIB),
        (4 * GIB, 8 * GIB, int(0.7 * 4 * GIB)),
        (16 * GIB, 8 * GIB, 256 * MIB),
    ],
)
def test_the_budget_follows_the_cgroup_else_the_machine(cgroup: int | None, ram: int, budget: int) -> None:
    assert resolve_memory(Config(), cgroup, ram).budget == budget


def test_what_is_left_after_the_base_is_shared_out(folder: Folder) -> None:
    plan = resolve_memory(folder.load('gateway.memory_budget = "130 MiB"'), None, 8 * GIB)
    assert (plan.history, plan.last_values, plan.outboxes, plan.kernel) == (20 * MIB, 20 * MIB, 15 * MIB, 15 * MIB)
    assert plan.connections == 1000
    assert plan.total <= plan.budget


def test_fewer_connections_are_taken_where_memory_is_short(folder: Folder) -> None:
    plan = resolve_memory(folder.load('gateway.memory_budget = "50 MiB"'), None, 8 * GIB)
    assert plan.connections == 20 * MIB * 3 // 10 // PER_CONNECTION == 256


def test_a_share_is_taken_of_what_there_is(folder: Folder) -> None:
    config = folder.load('gateway.memory_budget = "50%"')
    assert resolve_memory(config, None, 8 * GIB).budget == 4 * GIB
    assert resolve_memory(config, GIB, 8 * GIB).budget == 512 * MIB


def test_written_sizes_are_taken_at_their_word_and_the_others_give_way(folder: Folder) -> None:
    config = folder.load('gateway.memory_budget = "130 MiB"\nhistory.memory = "60 MiB"\nlimits.connections = 400')
    plan = resolve_memory(config, None, 8 * GIB)
    assert (plan.history, plan.connections) == (60 * MIB, 400)
    assert plan.last_values < 20 * MIB
    assert plan.last_values / plan.outboxes == pytest.approx(20 / 15, rel=1e-6)
    assert plan.budget - MIB < plan.total <= plan.budget


def test_the_figures_of_the_load_tool_fit(folder: Folder) -> None:
    config = folder.load('gateway.memory_budget = "2 GiB"\nlimits.connections = 20000')
    plan = resolve_memory(config, None, 8 * GIB)
    assert plan.connections == 20000
    assert plan.total <= 2 * GIB


def refusal(folder: Folder, text: str, cgroup: int | None = None, ram: int = 8 * GIB) -> list[str]:
    config = folder.load(text)
    with pytest.raises(ConfigError) as caught:
        resolve_memory(config, cgroup, ram)
    return str(caught.value).replace(f"{folder.path}/", "").splitlines()


def test_what_cannot_fit_is_refused_at_its_line_with_the_numbers(folder: Folder) -> None:
    problems = refusal(folder, '[limits]\nconnections = 20000\n[history]\nmemory = "100 MiB"')
    assert [line.split(": ")[:2] for line in problems] == [
        ["config.toml:2", "limits.connections"],
        ["config.toml:4", "history.memory"],
    ]
    for number in ("256 MiB", "30 MiB", "226 MiB", "568.75 MiB", "memory_budget of at least"):
        assert all(number in line for line in problems)


@pytest.mark.parametrize(
    ("cgroup", "words"), [(None, "the 1 GiB of this machine"), (512 * MIB, "the cgroup's limit of 512 MiB")]
)
def test_a_budget_beyond_what_there_is_is_refused(folder: Folder, cgroup: int | None, words: str) -> None:
    (problem,) = refusal(folder, '\ngateway.memory_budget = "2 GiB"', cgroup, GIB)
    assert problem.startswith(f"config.toml:2: gateway.memory_budget: 2 GiB is more than {words}, expected at most ")


def test_a_budget_below_the_base_is_refused(folder: Folder) -> None:
    (problem,) = refusal(folder, 'gateway.memory_budget = "20 MiB"')
    assert problem.startswith("config.toml:1: gateway.memory_budget: 20 MiB is too little, expected at least 34.")


def test_the_memory_that_a_refusal_proposes_is_enough(folder: Folder) -> None:
    text = 'limits.connections = 20000\nhistory.memory = "100 MiB"'
    proposed = refusal(folder, text)[0].rpartition("at least ")[2]
    assert resolve_memory(folder.load(f'gateway.memory_budget = "{proposed}"\n{text}'), None, 8 * GIB)


def test_a_box_too_small_for_anything_starts_all_the_same() -> None:
    """Nothing is written in the file, so there is nothing to refuse."""
    plan = resolve_memory(Config(), 32 * MIB, GIB)
    assert plan.connections == 10
    assert plan.total > plan.budget
    assert "more than there is" in str(plan)


def test_the_plan_is_said_in_one_line() -> None:
    assert str(resolve_memory(Config(), 200 * MIB, GIB)) == (
        "140 MiB (70% of the cgroup's limit of 200 MiB): base 30 MiB, history 22 MiB, last values 22 MiB, "
        "outboxes 16.5 MiB, kernel buffers 16.5 MiB, 1000 connections 23.44 MiB"
    )


SIZES = st.none() | st.integers(0, 2 * GIB)


@given(SIZES, SIZES, SIZES, st.none() | st.integers(1, 100_000), st.none() | st.integers(16 * MIB, 4 * GIB))
@example(None, None, None, None, 35_897_344)  # connections by their share, the others above theirs
def test_the_sum_of_all_bounds_never_passes_the_budget(
    history: int | None, last_values: int | None, total: int | None, connections: int | None, budget: int | None
) -> None:
    config = Config()
    config = replace(
        config,
        gateway=replace(config.gateway, memory_budget=budget),
        history=replace(config.history, memory=history),
        limits=replace(config.limits, last_values_memory=last_values, connections=connections),
        backpressure=replace(config.backpressure, total=total),
    )
    try:
        plan = resolve_memory(config, None, 4 * GIB)
    except ConfigError as error:
        assert "expected" in error.problems[0].message  # noqa: PT017
        return
    assert plan.total <= plan.budget
    assert plan.total > BASE
    for written, planned in ((history, plan.history), (last_values, plan.last_values), (total, plan.outboxes)):
        assert written is None or planned == written
    assert connections is None or plan.connections == connections


class TestMachineLimits:
    def machine(self, root: Path, cgroups: str, limits: dict[str, str]) -> Path:
        for name, text in {"proc/self/cgroup": cgroups, "proc/meminfo": "MemTotal:  1024 kB\n", **limits}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    def test_the_tightest_limit_around_the_process_counts(self, tmp_path: Path) -> None:
        limits = {
            "sys/fs/cgroup/system.slice/memory.max": "1000\n",
            "sys/fs/cgroup/system.slice/gateway.service/memory.max": "max\n",
        }
        root = self.machine(tmp_path, "0::/system.slice/gateway.service\n", limits)
        assert machine_limits(root) == (1000, 1024 * 1024)

    def test_version_1_is_read_too(self, tmp_path: Path) -> None:
        limits = {
            "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        }
        root = self.machine(tmp_path, "12:cpu,cpuacct:/\n4:memory:/x\n1:name=systemd:/a\n0::/a\n", limits)
        assert machine_limits(root) == (2000, 1024 * 1024)

    def test_without_a_limit_there_is_none(self, tmp_path: Path) -> None:
        assert machine_limits(self.machine(tmp_path, "0::/\n", {})) == (None, 1024 * 1024)

    def test_a_path_outside_of_what_is_mounted_does_no_harm(self, tmp_path: Path) -> None:
        assert machine_limits(self.machine(tmp_path, "0::/../../x\n", {})) == (None, 1024 * 1024)

    def test_this_machine_has_memory(self) -> None:
        limit, ram = machine_limits()
        assert ram > 64 * MIB
        assert limit is None or limit > 0


def test_ram_is_known_where_proc_shows_processes_only(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("")
    assert machine_limits(tmp_path) == (None, machine_limits()[1])
