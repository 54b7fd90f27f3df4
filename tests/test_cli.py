import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import __version__, cli
from gateway.cli import main
from gateway.commands import demo, options
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
        ("simulate", "--url", "mqtt://x", "--rate", "inf"),
        ("simulate", "--url", "mqtt://x", "--rate", "nan"),
        ("run", "--no-such-option"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    code, _, error = invoke(*arguments)
    assert code == 2
    assert "Error: " in error


@pytest.mark.parametrize("group", [(), ("token",), ("certificate",)])
def test_help_says_in_one_whole_line_each_what_there_is(group: tuple[str, ...]) -> None:
    """Click cuts what it takes from docstrings in the middle of a sentence; shells show it as they complete."""
    code, out, _ = invoke(*group, "--help")
    listed = out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()

    assert code == 0
    assert not any(line.endswith(("...", ".")) for line in listed)
    if not group:
        assert [line.split()[0] for line in listed] == list(main.commands)
        assert "78 bad configuration" in out


@pytest.mark.parametrize(("shell", "at"), [("bash", "1"), ("zsh", "1"), ("fish", "certi")])
def test_a_shell_completes_what_is_typed(shell: str, at: str) -> None:
    asked = {"_SENSOR_GATEWAY_COMPLETE": f"{shell}_complete", "COMP_WORDS": "sensor-gateway certi", "COMP_CWORD": at}
    code = "import sys; sys.argv = ['sensor-gateway']; from gateway.cli import main; main()"
    found = subprocess.run([sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True)
    assert "certificate" in found.stdout, found.stderr


@pytest.mark.parametrize("words", [("--help",), ("check",), ("doctor", "--help")])
def test_what_cannot_be_printed_is_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "gateway", *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "sensor-gateway: the output cannot be written: No space left on device\n"


def test_ctrl_c_before_all_is_read_is_one_word() -> None:
    """Python's traceback came for whoever was fast."""
    code = """
import os, signal, sys
class Fast:
    def find_spec(self, name, path, target=None):
        if name == "gateway.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Fast())
from gateway.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\nAborted!\n")


class TestCheck:
    def test_a_good_file_is_ok(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('[gateway]\nname = "box"\n')
        assert invoke("check", str(file)) == (0, "ok\n", "")

    def test_without_any_file_the_defaults_are_fine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        missing = tmp_path / "config.toml"
        for room in (cli, options):
            monkeypatch.setattr(room, "DEFAULT_PATH", missing)
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

    def test_a_file_that_this_user_may_not_read_is_78(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Click asked the system first, and called it wrong usage."""
        file = tmp_path / "config.toml"
        file.write_text("")

        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(os, "access", lambda path, mode, **how: mode == os.F_OK)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        code, _, error = invoke("check", str(file))
        assert (code, error) == (78, f"{file}: cannot be read: Permission denied, expected a TOML file\n")


def test_what_goes_wrong_at_work_is_one_line_and_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> int:
        raise GatewayError("127.0.0.1:8880: port in use")

    monkeypatch.setattr(demo, "run_demo", fail)
    assert invoke("demo") == (1, "", "sensor-gateway: 127.0.0.1:8880: port in use\n")


def test_what_somebody_far_away_has_sent_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> int:
        raise GatewayError("wss://x refuses: 403 \x1b[2J\x1b]0;title\x07\nsecond line")

    monkeypatch.setattr(demo, "run_demo", fail)
    assert invoke("demo")[2] == "sensor-gateway: wss://x refuses: 403 \\u001b[2J\\u001b]0;title\\u0007\nsecond line\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("init", "--config"),
        ("certificate", "show", "--folder"),
        ("certificate", "new", "--folder"),
        ("certificate", "renew", "--folder"),
        ("backup",),
    ],
)
def test_a_folder_that_this_user_may_not_look_into_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As the package has it, with tls for the group alone, 'certificate show' of anybody else was a traceback."""

    def refuse(path: Path, **how: bool) -> bool:
        if "closed" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return False

    monkeypatch.setattr(Path, "exists", refuse)
    code, _, error = invoke(*arguments, str(tmp_path / "closed" / "x"))
    assert code == 1
    assert error.startswith(f"sensor-gateway: {tmp_path / 'closed' / 'x'}")
    assert error.count("\n") == 1


def test_a_key_with_a_line_break_is_one_line_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('"a\\nb\\u001b[2J" = 1\n')
    assert invoke("check", str(file))[2].startswith(f"{file}:1: a\\nb\\u001b[2J: unknown key")


def test_what_the_terminals_encoding_does_not_have_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "温.toml"
    file.write_text("")
    command = [sys.executable, "-m", "gateway", "doctor", "--config", str(file)]
    shown = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"})
    assert b"\\u6e29.toml" in shown.stdout
    assert b"\\u2192" in shown.stdout
    assert b"Traceback" not in shown.stderr


def test_a_demo_names_what_is_wrong_with_a_brokers_address() -> None:
    """It named a line of a configuration that nobody had written."""
    code, _, error = invoke("demo", "--broker", "http://x")
    assert code == 1
    assert error.startswith('sensor-gateway: --broker: "http://x" has no known scheme, expected mqtt://')


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
