"""The documents that are written from the code are those that are there, and name nothing that is not."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from support.alerts import Alert, alerts

from gateway.cli import main
from gateway.config.reference import reference
from gateway.metrics import METRICS, PREFIX, documentation

DOCS = Path(__file__).parents[2] / "docs"
_SUFFIXES = ("_bucket", "_sum", "_count")


def names_in(text: str) -> set[str]:
    found = set(re.findall(rf"{PREFIX}[a-z_]+", text))
    return {next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name) for name in found}


def test_the_reference_of_the_configuration_is_that_of_the_model() -> None:
    assert (DOCS / "configuration.md").read_text() == reference()


def test_the_list_of_metrics_is_that_of_the_declarations() -> None:
    assert (DOCS / "metrics.md").read_text() == documentation()


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "alerts.yml"])
def test_dashboard_and_alerts_name_metrics_that_exist(file: str) -> None:
    named = names_in((DOCS / file).read_text())
    assert named
    assert named <= {metric.full_name for metric in METRICS}


def test_the_dashboard_is_one() -> None:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text())
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({(place["x"], place["y"]) for place in places}) == len(places)


def test_every_panel_is_asked_of_the_chosen_source_and_gateways_and_says_what_it_shows() -> None:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text())
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert set(variables) == {"datasource", "instance"}
    source = {"type": "prometheus", "uid": "${datasource}"}
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["datasource"] == source
        assert panel["description"].endswith("."), panel["title"]
        assert panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert all(legends), panel["title"]
        assert len(set(legends)) == len(legends), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == source
            for selector in re.findall(rf"(?:{PREFIX}[a-z_]+|up)(\{{[^}}]*\}}|$|\W)", target["expr"]):
                assert 'instance=~"$instance"' in selector, target["expr"]
            if panel["type"] == "timeseries" and not re.match(r"sum by \((?!instance)", target["expr"]):
                assert "{{instance}}" in target["legendFormat"], panel["title"]


@pytest.mark.parametrize("alert", alerts().values(), ids=alerts().keys())
def test_an_alert_says_where_what_and_what_to_type(alert: Alert) -> None:
    where = "upstream" if "without (instance)" in alert.expr else "instance"
    assert alert.summary.startswith(f"{{{{ $labels.{where} }}}}: ")
    assert len(alert.summary) < 140
    if "upstream" in alert.expr:
        assert "{{ $labels.upstream }}" in alert.summary
    assert alert.severity in ("warning", "critical")
    # "systemctl status sensor-gateway" names the unit, not a command of ours.
    typed = set(re.findall(r"(?<!status )(?<!restart )(?<!reload )(?<!-u )sensor-gateway ([a-z-]+)", alert.description))
    assert typed <= set(main.commands)
    assert typed or "journalctl -u sensor-gateway" in alert.description


def typed_in(text: str) -> list[str]:
    """Command lines of ours: in fenced blocks, and between backticks in the text or a unit's Exec line."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`]+)`", rest)
    found = [re.match(r"(?:ExecStart=)?(?:\S*/)?sensor-gateway ([a-z].*)", line.strip()) for line in lines]
    return [each[1] for each in found if each]


def unusable(line: str) -> str:
    """What click has against a command line as a page shows it; "" where it would run. `[…]` and `…` are the page's."""
    command: click.Command = main
    words = shlex.split(re.sub(r"[\[\]…]", "", line), comments=True)
    context = click.Context(main, info_name="sensor-gateway")
    while isinstance(command, click.Group):
        if not words:
            return ""  # a group by its name
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    try:
        command.make_context(command.name, list(words), parent=context)
    except click.MissingParameter as missing:
        # A command may be named without all that it takes; with an option it is there to be typed.
        return missing.format_message() if words else ""
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", [*sorted(each.name for each in DOCS.glob("*.md")), "../README.md", "../SECURITY.md"])
def test_what_the_pages_say_to_type_is_taken_as_it_stands(page: str) -> None:
    text = (DOCS / page).read_text()
    assert [(line, fault) for line in typed_in(text) if (fault := unusable(line))] == []
    if page in ("install.md", "operations.md", "../README.md"):
        assert len(typed_in(text)) > 2


def test_a_page_that_is_wrong_is_found_out() -> None:
    assert typed_in("```sh\nsensor-gateway tpo # x\n```\nuse `sensor-gateway run --cofnig X` or `x`") == [
        "tpo # x",
        "run --cofnig X",
    ]
    assert unusable("tpo # x") == "no command tpo"
    assert "--cofnig" in unusable("run --cofnig X")
    assert "--role" in unusable("token new anna")
    assert "unexpected extra argument" in unusable("reload now")
    assert unusable("watch FILTER… [--url URL] [--json]") == unusable("certificate") == ""


def test_metrics_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch("[a-z][a-z_]*[a-z]", metric.name), metric.name
        assert not metric.name.endswith("_total"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds"), metric.name
