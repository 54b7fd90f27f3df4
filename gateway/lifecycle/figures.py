"""The figures of /metrics: plain numbers of the parts, read when somebody asks. Nothing is counted twice for them.

prometheus-client writes the format, from a registry of our own; it is loaded at the first scrape, since it brings half
a web framework (6 MiB) with it.
"""

import math
import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.edge.credentials import Identity
from gateway.edge.http import Reply, Target
from gateway.edge.visits import Resource
from gateway.hub.ports import BLIND, CONNECTED, CONNECTING, REFUSED, WAITING
from gateway.lifecycle.house import House
from gateway.metrics import BY_NAME, LATENCY_BUCKETS, PREFIX, RTT_BUCKETS, Metric
from gateway.operations import logs
from gateway.operations.health import Health, Histogram

_PAGE = resource.getpagesize()

Sample = tuple[tuple[str, ...], float]


class Figures:
    """Collects from `house`; `reload_refused` says whether the last reload was refused."""

    def __init__(self, house: House, health: Health) -> None:
        self.reload_refused = False
        self.latency = Histogram(LATENCY_BUCKETS)
        self.resource = Resource("metrics", self._answer)
        self._house = house
        self._health = health
        self._registry: Any = None

    def samples(self) -> dict[str, list[Sample] | Histogram]:
        """Every metric's values by its name without the prefix."""
        server = self._house.server
        hub = server.room.hub
        usage = resource.getrusage(resource.RUSAGE_SELF)
        connections = list(server.connections.values())
        queues = [connection.queue_size for connection in connections]
        rtt = Histogram(RTT_BUCKETS)
        for connection in connections:
            if connection.heartbeat.rtt is not None:
                rtt.observe(connection.heartbeat.rtt)
        found: dict[str, list[Sample] | Histogram] = {
            "build_info": [((__version__,), 1)],
            "start_time_seconds": _one(server.started),
            "config_reload_successful": _one(not self.reload_refused),
            "healthy": _one(not self._health.faults),
            "clock_suspect": _one(self._house.upstreams.clock_suspect),
            "resident_memory_bytes": _one(resident()),
            "memory_budget_bytes": _one(self._house.plan.budget),
            "cpu_seconds": _one(usage.ru_utime + usage.ru_stime),
            "open_fds": _one(sum(1 for _ in Path("/proc/self/fd").iterdir())),
            "event_loop_lag_seconds": self._health.lag,
            "received_messages": _one(hub.received),
            "delivered_messages": _one(hub.delivered),
            "delivery_latency_seconds": self.latency,
            "clients": self._clients(),
            "connections": _one(len(connections)),
            "connections_limit": _one(server.limits.connections),
            "accepted_connections": _one(server.accepted),
            "refused_connections": [((reason,), count) for reason, count in sorted(server.counts.items())],
            "refused_commands": [((code,), count) for code, count in sorted(server.room.refused.items())],
            "rejected_origins": _one(server.rejected_origins),
            "audiences": _one(hub.audiences),
            "ping_rtt_seconds": rtt,
            "queue_bytes": _one(sum(queues)),
            "queue_largest_bytes": _one(max(queues, default=0)),
            "outboxes_bytes": _one(server.budget.size),
            "outboxes_limit_bytes": _one(server.budget.limit),
            "outboxes_shed": _one(server.budget.sheds),
            "outboxes_ended": _one(server.budget.ended),
            "clients_behind": _one(sum(1 for size in queues if size)),
            "lost_messages": _one(server.lost),
            "topics": _one(len(hub.values)),
            "topics_forgotten": _one(hub.values.forgotten),
            "topics_unpaced": _one(hub.unpaced),
            "decode_failures": self._decode_failures(),
            "certificate_expiry_seconds": self._certificates(),
            "log_dropped_lines": _one(logs.dropped()),
        }
        found |= self._links()
        return found | self._history()

    def _clients(self) -> list[Sample]:
        count: Counter[tuple[str, str]] = Counter()
        for connection in self._house.server.connections.values():
            session = connection.session
            if session is not None:
                role = session.role.name if session.role is not None else ""
                count[session.dialect.name, role] += 1
        return [(labels, number) for labels, number in sorted(count.items())]

    def _links(self) -> dict[str, list[Sample] | Histogram]:
        links = self._house.upstreams.links
        states = (CONNECTED, CONNECTING, WAITING, REFUSED, BLIND)
        counters = {
            "upstream_received_bytes": "bytes",
            "upstream_reconnects": "reconnects",
            "upstream_failures": "failures",
            "upstream_takeovers": "takeovers",
            "upstream_gaps": "gaps",
            "upstream_canaries_missed": "canaries_missed",
            "upstream_oversize_messages": "oversize",
            "published_messages": "published",
            "publish_failures": "publish_failures",
        }
        found: dict[str, list[Sample] | Histogram] = {
            "upstream_up": [((link.name,), float(link.connected)) for link in links],
            "upstream_state": [((link.name, s), float(link.state.state == s)) for link in links for s in states],
            "upstream_state_since_seconds": [((link.name,), link.state.since) for link in links],
            "upstream_dropped_messages": [
                ((link.name, reason), getattr(link.counters, reason))
                for link in links
                for reason in ("malformed", "excluded", "repeated")
            ],
        }
        for name, counter in counters.items():
            found[name] = [((link.name,), getattr(link.counters, counter)) for link in links]
        # One that nobody shall follow is not silent: it is not listened to.
        found["upstream_received_messages"] = [
            ((link.name,), link.counters.messages) for link in links if self._house.upstreams.may_follow(link.name)
        ]
        return found

    def _history(self) -> dict[str, list[Sample] | Histogram]:
        log: Any = self._house.server.room.log
        found: dict[str, list[Sample] | Histogram] = {"history_memory_bytes": _one(log.ring.size)}
        if hasattr(log, "file_size"):  # one that is kept on disk; its class is not loaded for the sake of asking
            found["history_disk_bytes"] = _one(log.file_size)
            found["history_disk_limit_bytes"] = _one(self._house.begun.history.disk_limit)
            found["history_disk_free_bytes"] = _one(free) if (free := log.free) is not None else []
            found["history_degraded"] = _one(bool(log.degraded))
            found["history_dropped_messages"] = _one(log.dropped)
        if hasattr(log, "lag"):  # one that gateways share
            behind, since = log.lag
            upstreams = self._house.upstreams
            found["history_lag_messages"], found["history_lag_seconds"] = _one(behind), _one(since)
            found["history_reachable"] = _one(not log.fault)
            found["history_waiting_messages"] = _one(log.holdings.waiting)
            found["history_stored_messages"] = _one(log.holdings.stored)
            found["history_retries"] = _one(log.holdings.retries)
            found["upstream_following"] = [
                ((each.name,), float(upstreams.follows(each.name)))
                for each in upstreams.links
                if upstreams.may_follow(each.name)
            ]
        return found

    def _decode_failures(self) -> list[Sample]:
        failures = self._house.readings.registry.failures_by_family
        return [((family,), number) for family, number in sorted(failures.items())]

    def _certificates(self) -> list[Sample]:
        found: dict[tuple[str, ...], float] = {}
        for endpoint in self._house.server.listeners.endpoints:
            if endpoint.tls is not None and (facts := endpoint.tls.facts) is not None:
                name = (facts.names[0] if facts.names else facts.common_name,)
                # Two files may hold a certificate for one name: what ends first is what somebody has to see to.
                found[name] = min(found.get(name, math.inf), float(facts.not_after))
        return list(found.items())

    def collect(self) -> Iterator[Any]:
        """For the registry: one family a metric."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, values in self.samples().items():
            metric = BY_NAME[name]
            full = PREFIX + metric.name
            if isinstance(values, Histogram):
                histogram = HistogramMetricFamily(full, metric.help)
                histogram.add_metric((), list(_cumulated(values)), values.sum)
                yield histogram
                continue
            family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
                full, metric.help, labels=metric.labels
            )
            for labels, value in values:
                family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[Metric]:
        """For the registry, which would collect once at the beginning otherwise."""
        return ()

    def _answer(self, who: Identity, target: Target) -> Reply:
        from prometheus_client import CollectorRegistry, generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
        return Reply(200, generate_latest(self._registry), "text/plain; version=0.0.4; charset=utf-8")


def resident() -> int:
    """Bytes of this process that are in RAM (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE


def _one(value: float) -> list[Sample]:
    return [((), float(value))]


def _cumulated(histogram: Histogram) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        yield ("+Inf" if bound == float("inf") else repr(bound)), float(total)
