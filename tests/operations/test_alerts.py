"""Each alert fires when it should and not before; what happens every day raises none. By `promtool test rules`."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from support.alerts import ALERTS, alerts
from support.prometheus import promtool

from gateway.metrics import METRICS, PREFIX

pytestmark = pytest.mark.slow

BOX = {"instance": "edge-7:8443", "job": "sensor-gateway"}
BARN = BOX | {"upstream": "barn"}
LENGTH = 60  # minutes
LAG = "event_loop_lag_seconds_bucket"

Series = dict[str, str]


def level(value: float, minutes: int) -> str:
    """A value that stays, scraped twice a minute."""
    return f"{value}+0x{2 * minutes - 1}"


def growth(each: float, minutes: int, start: float = 0) -> str:
    """A counter that grows by `each` a minute."""
    return f"{start}+{each / 2}x{2 * minutes - 1}"


def away(minutes: int) -> str:
    """Scrapes without an answer."""
    return f"_x{2 * minutes}"


def row(*parts: str) -> str:
    return " ".join(parts)


def name(metric: str, labels: dict[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{metric if metric == 'up' else PREFIX + metric}{{{inner}}}"


def series(metric: str, values: str, **labels: str) -> Series:
    """One series of the box."""
    return {name(metric, BOX | labels): values}


def barn(metric: str, values: str) -> Series:
    """One series of its broker link."""
    return series(metric, values, upstream="barn")


def lag(fast: float, slow: float) -> Series:
    """So many turns a minute that were on time, and so many half a second late."""
    return {
        name(LAG, BOX | {"le": bound}): growth(count, LENGTH)
        for bound, count in (("0.001", fast), ("0.25", fast), ("0.5", fast + slow), ("+Inf", fast + slow))
    }


HEALTHY: Series = {
    **series("up", level(1, LENGTH)),
    **series("start_time_seconds", level(-86400, LENGTH)),
    **series("healthy", level(1, LENGTH)),
    **series("config_reload_successful", level(1, LENGTH)),
    **lag(120, 0),
    **series("resident_memory_bytes", level(60e6, LENGTH)),
    **series("memory_budget_bytes", level(256e6, LENGTH)),
    **series("clock_suspect", level(0, LENGTH)),
    **barn("upstream_up", level(1, LENGTH)),
    **barn("upstream_received_messages_total", growth(60, LENGTH)),
    **barn("upstream_reconnects_total", level(0, LENGTH)),
    **barn("upstream_following", level(1, LENGTH)),
    **barn("publish_failures_total", level(0, LENGTH)),
    **series("certificate_expiry_seconds", level(20 * 86400, LENGTH), name="edge-7"),
    **series("connections", level(5, LENGTH)),
    **series("connections_limit", level(1000, LENGTH)),
    **series("delivered_messages_total", growth(300, LENGTH)),
    **series("lost_messages_total", level(0, LENGTH)),
    **series("outboxes_shed_total", level(0, LENGTH)),
    **series("outboxes_ended_total", level(0, LENGTH)),
    **series("history_disk_bytes", level(600e6, LENGTH)),
    **series("history_disk_limit_bytes", level(1e9, LENGTH)),
    **series("history_disk_free_bytes", level(9e9, LENGTH)),
    **series("history_degraded", level(0, LENGTH)),
    **series("history_dropped_messages_total", level(0, LENGTH)),
    **series("history_lag_seconds", level(0, LENGTH)),
    **series("history_reachable", level(1, LENGTH)),
}


class Case(NamedTuple):
    """`ill` replaces series of HEALTHY; the alert is silent at `before`, fires at `at` (minutes), and its text
    shows `value`; `about` are its labels."""

    alert: str
    ill: Series
    before: float
    at: float
    value: str = ""
    about: dict[str, str] = BOX


def from_10(value: float) -> str:
    """One minus what it is from minute 10 on."""
    return row(level(1 - value, 10), level(value, LENGTH - 10))


def from_10_growing(each: float) -> str:
    """Still for ten minutes, growing from then on."""
    return row(level(0, 10), growth(each, LENGTH - 10))


RESTARTS = row(*(level(1000 * number, 4) for number in range(15)))
CERTIFICATE = BOX | {"name": "edge-7"}
SILENT = barn("upstream_received_messages_total", row(growth(60, 10), level(570, LENGTH - 10)))
CASES = [
    Case("SensorGatewayDown", series("up", from_10(0)), 14.5, 15),
    Case("SensorGatewayRestartsAgainAndAgain", series("start_time_seconds", RESTARTS), 15.5, 16, "4"),
    Case("SensorGatewayUnhealthy", series("healthy", from_10(0)), 11.5, 12),
    Case("SensorGatewayReloadRefused", series("config_reload_successful", from_10(0)), 14.5, 15),
    Case("SensorGatewayLoopLag", lag(100, 20), 10, 10.5, "485ms"),
    Case("SensorGatewayMemory", series("resident_memory_bytes", level(300e6, LENGTH)), 9.5, 10, "286.1Mi"),
    Case("SensorGatewayClockSuspect", series("clock_suspect", from_10(1)), 14.5, 15),
    Case("SensorGatewayUpstreamDown", barn("upstream_up", from_10(0)) | SILENT, 14.5, 15, about=BARN),
    Case("SensorGatewayUpstreamFlaps", barn("upstream_reconnects_total", growth(1, LENGTH)), 9, 12, "12", BARN),
    Case("SensorGatewayUpstreamSilent", SILENT, 38, 41, about=BARN),
    Case("SensorGatewayPublishFails", barn("publish_failures_total", from_10_growing(1)), 19.5, 21.5, about=BARN),
    Case(
        "SensorGatewayCertificateEnds",
        series("certificate_expiry_seconds", level(2 * 86400, LENGTH), name="edge-7"),
        14.5,
        20,
        "1d 23h 40m 0s",
        CERTIFICATE,
    ),
    Case(
        "SensorGatewayCertificateEnded",
        series("certificate_expiry_seconds", level(-60, LENGTH), name="edge-7"),
        14.5,
        15,
        about=CERTIFICATE,
    ),
    Case("SensorGatewayFull", series("connections", level(950, LENGTH)), 4.5, 5, "950"),
    Case("SensorGatewayLosing", series("lost_messages_total", growth(60, LENGTH)), 15, 16, "1"),
    Case("SensorGatewayMemoryShed", series("outboxes_shed_total", from_10_growing(4)), 19.5, 21.5),
    Case("SensorGatewayMemoryShed", series("outboxes_ended_total", from_10_growing(1)), 19.5, 21.5),
    Case("SensorGatewayHistoryStopped", series("history_degraded", from_10(1)), 14.5, 15),
    Case("SensorGatewayHistoryStopped", series("history_dropped_messages_total", from_10_growing(9)), 14.5, 16.5),
    Case("SensorGatewayDiskFills", series("history_disk_free_bytes", level(300e6, LENGTH)), 14.5, 15, "286.1Mi"),
    Case(
        "SensorGatewayDiskFills",
        series("history_disk_free_bytes", level(60e6, LENGTH)) | series("history_disk_bytes", level(1e9, LENGTH)),
        14.5,
        15,
        "57.22Mi",
    ),
    Case("SensorGatewayBehindItsLog", series("history_lag_seconds", level(8, LENGTH)), 2.5, 3),
    Case("SensorGatewayBehindItsLog", series("history_reachable", from_10(0)), 12.5, 13),
    Case(
        "SensorGatewayNobodyFollows",
        barn("upstream_following", from_10(0)),
        12.5,
        13,
        about={"job": "sensor-gateway", "upstream": "barn"},
    ),
]


def restarted(minutes: int) -> Series:
    """The gateway was away for so long from minute 30 on; its counters begin anew."""
    rest = LENGTH - 30 - minutes
    changed = {
        key: row(
            level(float(values.partition("+")[0]), 30), away(minutes), level(float(values.partition("+")[0]), rest)
        )
        for key, values in HEALTHY.items()
    }
    for counter in ("upstream_received_messages_total", "delivered_messages_total"):
        key = name(counter, BARN if counter.startswith("upstream") else BOX)
        changed[key] = row(growth(60, 30), away(minutes), growth(60, rest))
    changed |= series("up", row(level(1, 30), level(0, minutes), level(1, rest)))
    changed |= series("start_time_seconds", row(level(-86400, 30), away(minutes), level(1900, rest)))
    # It is up before the broker has accepted it, and before it has read its log.
    changed |= barn("upstream_up", row(level(1, 30), away(minutes), level(0, 1), level(1, rest - 1)))
    changed |= series("history_reachable", row(level(1, 30), away(minutes), level(0, 1), level(1, rest - 1)))
    return changed


def moment(usual: float, then: float, minutes: int = 1) -> str:
    """Another value for a while."""
    return row(level(usual, 30), level(then, minutes), level(usual, LENGTH - 30 - minutes))


OTHER = {"instance": "edge-8:8443", "job": "sensor-gateway", "upstream": "barn"}
EVERYDAY: dict[str, Series] = {
    "nothing happens": {},
    "a planned restart": restarted(1),
    "a reboot": restarted(3),
    "three restarts while somebody tries things out": series(
        "start_time_seconds", row(level(0, 30), level(1800, 3), level(1980, 3), level(2160, 24))
    ),
    "a broker is away for a minute": {
        **barn("upstream_up", moment(1, 0)),
        **barn("upstream_reconnects_total", row(level(0, 31), level(1, LENGTH - 31))),
        **barn("upstream_received_messages_total", row(growth(60, 30), level(1800, 1), growth(60, LENGTH - 31, 1800))),
        **barn("publish_failures_total", row(level(0, 30), level(3, LENGTH - 30))),
    },
    "a broker that restarts every ten minutes": barn(
        "upstream_reconnects_total", row(*(level(number, 10) for number in range(6)))
    ),
    "a quiet quarter of an hour": barn(
        "upstream_received_messages_total", row(growth(60, 20), level(1200, 15), growth(60, 25, 1200))
    ),
    "another gateway on the log follows the broker": {
        **barn("upstream_following", level(0, LENGTH)),
        **barn("upstream_received_messages_total", level(0, LENGTH)),
        name("upstream_following", OTHER): level(1, LENGTH),
    },
    "the turn passes on": {
        **barn("upstream_following", row(level(1, 30), level(0, 30))),
        name("upstream_following", OTHER): row(level(0, 31), level(1, 29)),
    },
    "NATS restarts": {**series("history_reachable", moment(1, 0)), **series("history_lag_seconds", moment(0, 40))},
    "a viewer is slow for ten minutes": series(
        "lost_messages_total", row(level(0, 30), growth(60, 10), level(600, LENGTH - 40))
    ),
    "one outbox is emptied": series("outboxes_shed_total", row(level(0, 30), level(1, LENGTH - 30))),
    "one slow minute of the loop": {
        name(LAG, BOX | {"le": bound}): row(growth(120, 30), growth(each, 1, 3600), growth(120, LENGTH - 31, 3720))
        for bound, each in (("0.001", 60), ("0.25", 60), ("0.5", 120), ("+Inf", 120))
    },
    "the loop was slow a day ago": {
        name(LAG, BOX | {"le": bound}): growth(120, LENGTH, start)
        for bound, start in (("0.001", 10_000), ("0.25", 10_000), ("0.5", 90_000), ("+Inf", 90_000))
    },
    "a mistake in the configuration is mended at once": series("config_reload_successful", moment(1, 0, 3)),
    "the watchdog restarts it once": {
        **series("healthy", moment(1, 0)),
        **series("start_time_seconds", row(level(0, 30), level(1860, 30))),
    },
    "a history that is as large as it may be": {
        **series("history_disk_bytes", level(1e9, LENGTH)),
        **series("history_disk_free_bytes", level(200e6, LENGTH)),
    },
    "a download fills the disk for ten minutes": series("history_disk_free_bytes", moment(9e9, 0, 10)),
    "a crowd for two minutes": series("connections", moment(5, 990, 2)),
}


def judge(folder: Path, changed: Series, looks: list[dict[str, object]]) -> None:
    """Let promtool evaluate the rules over these series, look by look."""
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "30s",
        "tests": [
            {
                "interval": "30s",
                "input_series": [{"series": key, "values": values} for key, values in (HEALTHY | changed).items()],
                "alert_rule_test": looks,
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps(test))  # JSON is YAML
    complaint = promtool("test", "rules", str(file))
    assert not complaint, complaint


def look(alert: str, minutes: float, *expected: dict[str, object]) -> dict[str, object]:
    return {"eval_time": f"{int(minutes * 60)}s", "alertname": alert, "exp_alerts": list(expected)}


def shown(template: str, labels: dict[str, str], value: str) -> str:
    """The text as Prometheus sends it."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], template)
    return re.sub(r"\{\{ \$value[^}]*\}\}", value, text)


def test_every_alert_has_a_case_and_every_metric_of_theirs_is_in_the_healthy_picture() -> None:
    assert {case.alert for case in CASES} == set(alerts())
    used = {found for alert in alerts().values() for found in re.findall(rf"\bup\b|{PREFIX}[a-z_]+", alert.expr)}
    assert used == {key.partition("{")[0] for key in HEALTHY}


def test_the_series_have_the_labels_of_our_metrics() -> None:
    declared = {metric.full_name: set(metric.labels) for metric in METRICS}
    for changed in (HEALTHY, *(case.ill for case in CASES), *EVERYDAY.values()):
        for key in changed:
            full = key.partition("{")[0].removesuffix("_bucket")
            if full != "up":
                assert set(re.findall(r"(\w+)=", key)) - {"instance", "job", "le"} == declared[full]


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_an_alert_fires_when_it_should_and_not_before(case: Case, tmp_path: Path) -> None:
    alert = alerts()[case.alert]
    fires = {
        "exp_labels": case.about | {"severity": alert.severity},
        "exp_annotations": {
            "summary": shown(alert.summary, case.about, case.value),
            "description": shown(alert.description, case.about, case.value),
        },
    }
    judge(tmp_path, case.ill, [look(case.alert, case.before), look(case.alert, case.at, fires)])


@pytest.mark.parametrize("case", CASES, ids=[case.alert for case in CASES])
def test_one_trouble_raises_one_alert(case: Case, tmp_path: Path) -> None:
    others = set(alerts()) - {case.alert}
    judge(tmp_path, case.ill, [look(alert, minute) for alert in others for minute in (case.at, LENGTH - 1)])


@pytest.mark.parametrize("happening", EVERYDAY)
def test_what_happens_every_day_raises_no_alert(happening: str, tmp_path: Path) -> None:
    minutes = range(1, LENGTH)
    judge(tmp_path, EVERYDAY[happening], [look(alert, minute) for alert in alerts() for minute in minutes])
