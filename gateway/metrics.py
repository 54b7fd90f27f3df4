"""Every metric that /metrics shows, declared as rows; `docs/metrics.md` is generated from here.

Names follow Prometheus' conventions: base units, `_total` for counters, a label only where its values are few.
"""

import sys
from typing import Literal, NamedTuple

PREFIX = "sensor_gateway_"
LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
RTT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metric(NamedTuple):
    """One metric: its name behind the prefix (without `_total`), what it is, one line of help, its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus sees it."""
        return f"{PREFIX}{self.name}{'_total' if self.kind == 'counter' else ''}"


METRICS = (
    Metric("build_info", "gauge", "Always 1; the version that runs.", ("version",)),
    Metric("start_time_seconds", "gauge", "When the gateway started, Unix time."),
    Metric("config_reload_successful", "gauge", "1 where the last reload was taken in, 0 where it was refused."),
    Metric("healthy", "gauge", "1 while the watchdog is fed, 0 while a part of the data path is ill."),
    Metric("clock_suspect", "gauge", "1 while a broker's certificate is not valid yet by this box's clock."),
    Metric("resident_memory_bytes", "gauge", "Memory of the process that is in RAM."),
    Metric("memory_budget_bytes", "gauge", "What [gateway] memory_budget comes to on this machine."),
    Metric("cpu_seconds", "counter", "Processor time of the process, user and system."),
    Metric("open_fds", "gauge", "File descriptors in use."),
    Metric("event_loop_lag_seconds", "histogram", "By how much the event loop came too late to a timer of 0.9 s."),
    # In from the brokers.
    Metric("received_messages", "counter", "Messages that the hub took in."),
    Metric("upstream_up", "gauge", "1 while the broker has accepted us and the filters.", ("upstream",)),
    Metric("upstream_state", "gauge", "1 for the state that the link is in.", ("upstream", "state")),
    Metric("upstream_state_since_seconds", "gauge", "When the link's state began, Unix time.", ("upstream",)),
    Metric("upstream_received_messages", "counter", "Messages that came in by the link.", ("upstream",)),
    Metric("upstream_received_bytes", "counter", "Bytes off the broker's socket.", ("upstream",)),
    Metric("upstream_reconnects", "counter", "Connections after the first.", ("upstream",)),
    Metric("upstream_failures", "counter", "Tries that led to no connection.", ("upstream",)),
    Metric("upstream_takeovers", "counter", "Connections lost to another client with our id.", ("upstream",)),
    Metric("upstream_gaps", "counter", "Reconnects behind which messages may be missing.", ("upstream",)),
    Metric("upstream_canaries_missed", "counter", "Probes that did not come back in time.", ("upstream",)),
    Metric(
        "upstream_dropped_messages",
        "counter",
        "Messages not passed on: malformed (no valid topic), excluded (by the configuration), repeated (known).",
        ("upstream", "reason"),
    ),
    Metric("upstream_oversize_messages", "counter", "Messages passed on without their payload.", ("upstream",)),
    Metric(
        "upstream_following",
        "gauge",
        "1 where this gateway follows the broker, 0 where another or none of its log does; only behind a shared log.",
        ("upstream",),
    ),
    Metric("published_messages", "counter", "Messages of clients that the broker has.", ("upstream",)),
    Metric("publish_failures", "counter", "Messages of clients that the broker does not have.", ("upstream",)),
    # Out to the viewers.
    Metric("delivered_messages", "counter", "Messages handed to clients, each client counted."),
    Metric("delivery_latency_seconds", "histogram", "From taking a turn's messages in to the last client's socket."),
    Metric("clients", "gauge", "Clients by what they speak and their role.", ("dialect", "role")),
    Metric("connections", "gauge", "Open connections, those without a session included."),
    Metric("connections_limit", "gauge", "Connections that there is room for."),
    Metric("accepted_connections", "counter", "Connections taken from the listeners."),
    Metric("refused_connections", "counter", "Connections and requests refused or ended, by reason.", ("reason",)),
    Metric("refused_commands", "counter", "Commands that were refused, by the code of the error.", ("code",)),
    Metric("rejected_origins", "counter", "Requests refused for their Origin."),
    Metric("audiences", "gauge", "Different sets of subscriptions that are served."),
    Metric(
        "ping_rtt_seconds",
        "histogram",
        "Newest ping round trip of the clients that are there now: quantiles of the buckets themselves, without rate.",
    ),
    Metric("queue_bytes", "gauge", "Bytes waiting for clients, the newest look at each outbox."),
    Metric("queue_largest_bytes", "gauge", "Bytes waiting for the client that is furthest behind."),
    Metric("outboxes_bytes", "gauge", "Bytes waiting for all clients together: what many wait for is counted once."),
    Metric("outboxes_limit_bytes", "gauge", "What they may hold together; beyond it the largest is emptied first."),
    Metric("outboxes_shed", "counter", "Outboxes emptied because all together held too much, told in gaps."),
    Metric("outboxes_ended", "counter", "Clients ended because that was not enough."),
    Metric("clients_behind", "gauge", "Clients for whom anything waits."),
    Metric("lost_messages", "counter", "Messages dropped or merged for clients that were behind, told in gaps."),
    # Kept.
    Metric("topics", "gauge", "Topics with a last value."),
    Metric("topics_forgotten", "counter", "Topics let go because there were too many."),
    Metric(
        "topics_unpaced", "counter", "Times that a topic went to a viewer without its interval, for want of memory."
    ),
    Metric("history_memory_bytes", "gauge", "Bytes of messages kept in memory for replay."),
    Metric("history_disk_bytes", "gauge", "Size of the history's file; only with [history] disk."),
    Metric("history_disk_limit_bytes", "gauge", "What that file may grow to; only with [history] disk."),
    Metric("history_disk_free_bytes", "gauge", "Free for the gateway where that file is; only with [history] disk."),
    Metric("history_degraded", "gauge", "1 while nothing can be stored, or the disk hangs; only with [history] disk."),
    Metric("history_dropped_messages", "counter", "Messages that were never stored; only with [history] disk."),
    Metric("history_lag_messages", "gauge", "Messages of the shared log not handed on yet; only behind one."),
    Metric("history_lag_seconds", "gauge", "For how long there have been any; only behind a shared log."),
    Metric("history_reachable", "gauge", "1 while this gateway shows what the shared log holds; only behind one."),
    Metric("history_waiting_messages", "gauge", "Taken in and not stored yet; only behind a shared log."),
    Metric("history_stored_messages", "counter", "Stored by this gateway with acknowledgement; only in a shared log."),
    Metric("history_retries", "counter", "Batches that had to be stored again; only in a shared log."),
    Metric("decode_failures", "counter", "Payloads that their device family could not read.", ("family",)),
    Metric("certificate_expiry_seconds", "gauge", "When a listener's certificate ends, Unix time.", ("name",)),
    Metric("log_dropped_lines", "counter", "Lines of the log that whoever reads it was too slow for."),
)

BY_NAME = {metric.name: metric for metric in METRICS}

_HEAD = """\
# Metrics

`/metrics` on every listener, in Prometheus' text format. It needs the right `metrics` of a `[[role]]`, or
`[[listen]] metrics = true`. A role for Prometheus (where any role is written, the viewers' is written as well):

```toml
[[role]]
name = "viewer"

[[role]]
name = "prometheus"
subscribe = []
rights = ["metrics"]
```

`sensor-gateway token new prometheus --role prometheus` prints its token, for a file beside Prometheus' configuration:

```yaml
scrape_configs:
  - job_name: sensor-gateway
    scheme: https
    authorization: { credentials_file: /etc/prometheus/sensor-gateway.token }
    tls_config: { ca_file: /etc/prometheus/sensor-gateway-ca.pem } # of a CA of your own, such as `init --lan` makes
    static_configs: [{ targets: ["gateway.example:8443"] }]
```

Rates are `rate(…_total[1m])`, quantiles `histogram_quantile(0.99, sum by (le) (rate(…_bucket[5m])))`. The number of
series is bounded: by the configuration (`upstream`, `role`, `name`), by the code (`reason`, `code`, `state`, `dialect`,
`family`). No label ever holds a topic, an address or a client.

`grafana-dashboard.json` shows them: import it, and choose the data source and the gateways at its top. `alerts.yml`
watches over them, as one of Prometheus' `rule_files`; its alerts are for `job_name: sensor-gateway`, name the command
to type, and leave restarts and brokers that are away for a minute alone. Where several groups of gateways share a log
each, give every group's targets a label of its own, such as `labels: { site: north }`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def documentation() -> str:
    """The text of `docs/metrics.md`."""
    rows = (
        f"| `{m.full_name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.help} |" for m in METRICS
    )
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(documentation())
