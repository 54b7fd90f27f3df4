"""The documents that are written from the code are those that are there, and name nothing that is not."""

import json
import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("page", ["install.md", "operations.md"])
def test_commands_in_the_pages_exist(page: str) -> None:
    text = (DOCS / page).read_text()
    typed = set(re.findall(r"sensor-gateway ([a-z][a-z-]+)", "\n".join(re.findall(r"`([^`]+)`", text))))
    assert typed
    assert typed <= set(main.commands)


def test_metrics_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch("[a-z][a-z_]*[a-z]", metric.name), metric.name
        assert not metric.name.endswith("_total"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds"), metric.name
