"""`token new`, `list`, `revoke` by the command line itself."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[gateway]\nstate_dir = "{tmp_path}/state"\n[[role]]\nname = "viewer"\n[[listen]]\nport = 8880\n'
        'address = ["127.0.0.1", "::1"]\n'
    )
    return file


def invoke(config: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["token", *arguments, "--config", str(config)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_token_is_printed_once_and_listed_without_its_secret(config: Path, tmp_path: Path) -> None:
    code, token, _ = invoke(config, "new", "kiosk", "--role", "viewer", "--expires", "90d")
    assert code == 0
    assert token.startswith("gw_")
    code, table, _ = invoke(config, "list")
    _, row = table.splitlines()
    assert (code, row.split()[1:3]) == (0, ["kiosk", "viewer"])
    assert token.strip().split("_", 2)[2] not in table
    [kept] = json.loads((tmp_path / "state" / "tokens.json").read_text())["tokens"]
    assert kept["expires"] - kept["created"] == pytest.approx(90 * 86400)


def test_a_file_that_was_written_by_hand_steers_no_terminal(config: Path, tmp_path: Path) -> None:
    invoke(config, "new", "kiosk", "--role", "viewer")
    file = tmp_path / "state" / "tokens.json"
    file.write_text(file.read_text().replace('"kiosk"', '"\\u001b[2Jpförtner温"'))
    code, table, _ = invoke(config, "list")
    assert code == 0
    heading, row = table.splitlines()
    assert "\\u001b[2Jpförtner温  viewer" in row
    assert heading.index("ROLE") == row.index("viewer") + 1  # one character of the name takes two columns
    code, revoked, _ = invoke(config, "revoke", "\x1b[2Jpförtner温")
    assert code == 0
    assert revoked.startswith("\\u001b[2Jpförtner温 (")


def test_a_link_carries_it_in_the_fragment(config: Path) -> None:
    _, links, _ = invoke(config, "new", "phone", "--role", "viewer", "--link")
    first, second = links.splitlines()
    assert first.startswith("http://127.0.0.1:8880/#token=gw_")
    assert second.startswith("http://[::1]:8880/#token=gw_")


def test_revoking_takes_it_away(config: Path) -> None:
    invoke(config, "new", "kiosk", "--role", "viewer")
    code, said, _ = invoke(config, "revoke", "kiosk")
    assert (code, said.startswith("kiosk (")) == (0, True)
    assert invoke(config, "list")[1].count("\n") == 1
    code, _, error = invoke(config, "revoke", "kiosk")
    assert (code, "there is no token" in error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("new", "kiosk", "--role", "admin"), 1, 'no [[role]] is named "admin": there are viewer'),
        (("new", "a b", "--role", "viewer"), 1, "no usable name"),
        (("new", "kiosk", "--role", "viewer", "--expires", "90"), 2, "has no unit"),
        (("new", "kiosk", "--role", "viewer", "--expires", "0s"), 2, "out of range"),
        (("new", "kiosk", "--role", "viewer", "--expires", "99999999d"), 2, "out of range"),
        (("new", "kiosk"), 2, "--role"),
    ],
)
def test_what_cannot_be_made_says_why(config: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    found, _, error = invoke(config, *arguments)
    assert (found, why in error) == (code, True)


def test_a_token_that_nobody_would_look_at_is_not_made(config: Path) -> None:
    config.write_text(config.read_text() + "[auth]\nmethods = []\n")
    code, _, error = invoke(config, "new", "kiosk", "--role", "viewer")
    assert (code, "tokens are not looked at" in error) == (1, True)


def test_a_token_until_a_year_that_no_calendar_has_is_listed_all_the_same(config: Path, tmp_path: Path) -> None:
    invoke(config, "new", "kiosk", "--role", "viewer", "--expires", "90d")
    file = tmp_path / "state" / "tokens.json"
    kept = json.loads(file.read_text())
    kept["tokens"][0]["expires"] = 8.64e12
    file.write_text(json.dumps(kept))
    code, table, _ = invoke(config, "list")
    assert (code, "in no year that we know" in table) == (0, True)


def test_check_finds_tokens_that_a_start_would_stumble_over(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tokens.json").write_text("{")
    checked = CliRunner().invoke(main, ["check", str(config)])
    assert checked.exit_code == 1
    assert "tokens.json: no file of tokens: " in checked.stderr
    assert "of before" not in checked.stderr


def test_check_finds_a_secret_of_jwts_that_is_too_short(config: Path, tmp_path: Path) -> None:
    (tmp_path / "jwt.key").write_text("short")
    config.write_text(
        f'{config.read_text()}[auth]\nmethods = ["jwt"]\njwt = {{ algorithm = "HS256", key_file = "jwt.key" }}\n'
    )
    checked = CliRunner().invoke(main, ["check", str(config)])
    assert (checked.exit_code, "a secret of 5 bytes, expected 32 or more" in checked.stderr) == (1, True)
