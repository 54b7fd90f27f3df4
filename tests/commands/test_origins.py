"""`origin-test` by the command line itself."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main

CONFIG = """
[origins]
allow = ["https://*.example.org"]
[[listen]]
port = 8880
[[listen]]
port = 8443
tls = {{ certificate = "{certificate}", key = "{key}" }}
"""


@pytest.mark.parametrize(
    ("url", "plain", "secure"),
    [
        ("https://panel.example.org/dashboard?x", "allowed by the configuration", "allowed by the configuration"),
        ("http://localhost:8880/", "same origin", None),
        ("https://localhost:8443", None, "same origin"),
        ("https://127.0.0.1:8443", None, "same origin"),
        ("https://evil.example", None, None),
        ("null", None, None),
        ("file:///home/x.html", None, None),
        ("http://bücher.example", None, None),
    ],
)
def test_the_verdict_of_each_listener(
    tmp_path: Path, certificate, url: str, plain: str | None, secure: str | None
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(certificate=certificate.certificate, key=certificate.key))
    result = CliRunner().invoke(main, ["origin-test", url, "--config", str(file)])
    verdicts = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    for line, scheme, expected in zip(verdicts, ("ws", "wss"), (plain, secure), strict=True):
        assert line.startswith(f"{scheme}://127.0.0.1:")
        assert (f"allowed: {expected}" in line) if expected else ("refused: " in line)
    assert result.exit_code == (0 if plain or secure else 1)
    if not (plain or secure):
        assert 'to allow it: [origins] allow = ["https://*.example.org", "' in result.stdout


@pytest.mark.parametrize("url", ["panel", "//x", "https://", "https://[::x]/", 'https://a"b', "https://a\x1bb"])
def test_what_is_no_address_is_said(tmp_path: Path, url: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    result = CliRunner().invoke(main, ["origin-test", url, "--config", str(file)])
    assert (result.exit_code, "is no address of a page" in result.stderr) == (1, True)
