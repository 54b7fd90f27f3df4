"""What the configuration means for the parts, at the start and at a reload."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gateway.config import Config, Upstream
from gateway.edge.admission import ServerLimits
from gateway.edge.descriptors import descriptors_for_clients
from gateway.edge.dialects.dialect import Dialect
from gateway.edge.dialects.native import JsonVariant
from gateway.edge.dialects.registry import Setting, factories
from gateway.edge.dialects.sse import Sse
from gateway.edge.room import SessionLimits
from gateway.hub.outbox import Bounds, Policy
from gateway.hub.readings import Readings
from gateway.hub.staleness import limits_of
from gateway.memory import MemoryPlan


def server_limits(config: Config, plan: MemoryPlan) -> ServerLimits:
    """The limits of all connections together."""
    return ServerLimits(
        connections=min(plan.connections, descriptors_for_clients()),
        per_address=config.limits.connections_per_address,
        handshake=config.limits.handshake,
        message_size=config.limits.message_size,
        interval=config.heartbeat.interval,
        timeout=config.heartbeat.timeout,
        per_user=config.limits.connections_per_user,
        accepts=config.limits.accept_rate or config.limits.connections_per_address,
    )


def session_limits(config: Config) -> SessionLimits:
    """What one client may ask for."""
    return SessionLimits(
        subscriptions=config.limits.subscriptions,
        commands_per_second=config.limits.commands_per_second,
        message_size=config.limits.message_size,
    )


def bounds_of(config: Config) -> Bounds:
    """What may wait for one client."""
    pressure = config.backpressure
    return Bounds(policy=Policy(pressure.policy), soft=pressure.soft, hard=pressure.hard, patience=pressure.patience)


def stale_after(config: Config) -> Callable[[str], float | None]:
    """After how long a topic is stale, in seconds; None where that is to be learned."""
    return limits_of((device.filter, device.stale_after) for device in config.device)


def dialects_of(
    config: Config, *, epoch: str, readings: Readings
) -> tuple[Mapping[str, Callable[[], Dialect]], Dialect]:
    """What clients may speak, and how Server-Sent Events are written, over the log of `epoch`."""
    several = len(config.upstream) > 1
    setting = Setting(
        limit=config.limits.message_size,
        new_id=partial(secrets.token_hex, 8),
        show_upstream=several,
        readings=readings.of,
    )
    return factories(setting), Sse(epoch, JsonVariant(show_upstream=several, readings=readings.of))


def unsigned(upstreams: Sequence[Upstream]) -> str:
    """The name under which comes what devices put into a shared log themselves, "" where they do not."""
    return next((each.name for each in upstreams if each.ingest == "none"), "")
