import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import __version__, cli
from gateway.cli import main
from gateway.commands import demo
from gateway.errors import GatewayError


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_version() -> None:
    assert invoke("--version") == (0, f"sensor-gateway, version {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("watch",),
        ("watch", "a/#/b"),
        ("simulate",),
        ("simulate", "--url", "mqtt://x", "--families", "no-such-family"),
        ("run", "--no-such-option"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    code, _, error = invoke(*arguments)
    assert code == 2
    assert "Error: " in error


def test_help_says_in_one_whole_line_each_what_there_is() -> None:
    """Click cuts what it takes from docstrings in the middle of a sentence."""
    code, out, _ = invoke("--help")
    listed = out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()

    assert code == 0
    assert [line.split()[0] for line in listed] == list(main.commands)
    assert not any(line.endswith(("...", ".")) for line in listed)
    assert "78 bad configuration" in out


class TestCheck:
    def test_a_good_file_is_ok(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('[gateway]\nname = "box"\n')
        assert invoke("check", str(file)) == (0, "ok\n", "")

    def test_without_any_file_the_defaults_are_fine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        missing = tmp_path / "config.toml"
        monkeypatch.setattr(cli, "DEFAULT_PATH", missing)
        assert invoke("check") == (0, f"ok: there is no {missing}, so every key has its default\n", "")

        missing.write_text("nonsense = 1\n")
        code, _, error = invoke("check")
        assert code == 78
        assert error.startswith(f"{missing}:1: nonsense: ")

    def test_every_problem_is_printed_with_its_line_and_the_code_is_78(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('[gateway]\nnaem = "box"\n[heartbeat]\ninterval = 20\n')
        code, out, error = invoke("check", str(file))
        assert (code, out) == (78, "")
        first, second = error.splitlines()
        assert first.startswith(f"{file}:2: gateway.naem: ")
        assert second.startswith(f"{file}:4: heartbeat.interval: ")

    def test_a_file_that_is_not_there_is_78(self, tmp_path: Path) -> None:
        code, _, error = invoke("check", str(tmp_path / "none.toml"))
        assert code == 78
        assert "none.toml" in error


def test_what_goes_wrong_at_work_is_one_line_and_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> int:
        raise GatewayError("127.0.0.1:8880: port in use")

    monkeypatch.setattr(demo, "run_demo", fail)
    assert invoke("demo") == (1, "", "sensor-gateway: 127.0.0.1:8880: port in use\n")


def test_a_demo_without_a_broker_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_program", lambda: None)
    code, _, error = invoke("demo")
    assert code == 1
    assert error == (
        "sensor-gateway: demo needs a broker: install 'sensor-gateway[demo]' or give --broker mqtt://127.0.0.1:1883\n"
    )


def test_watch_ends_with_0_on_ctrl_c_and_said_why_it_waited(free_port: Callable[[], int]) -> None:
    url = f"ws://127.0.0.1:{free_port()}/stream"
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "watch", "#", "--url", url], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "cannot reach" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
