"""A reload: everything but the listeners' addresses changes under way, and nobody is disconnected for it.

All that can fail is tried before anything changes: a file that is wrong, or a certificate, leaves all as it was.
"""

import logging
import time
from collections.abc import Callable, Sequence

from msgspec.structs import asdict

from devices.registry import Registry
from gateway.config import Config, first_word, load
from gateway.edge.admission import ServerLimits
from gateway.edge.listeners import descriptors_for_clients
from gateway.edge.room import SessionLimits
from gateway.edge.rules import access_of, endpoints_of, judge_of
from gateway.hub.freshness import limits_of
from gateway.hub.outbox import Bounds, Policy
from gateway.lifecycle.house import House
from gateway.memory import MemoryPlan, machine_limits, resolve_memory
from gateway.operations.logs import set_up

log = logging.getLogger("gateway")

# What is opened, named or reserved once, at the start.
_AT_START = {
    "gateway": ("name", "state_dir"),
    "history": ("log", "disk", "disk_limit", "disk_age", "commit", "durable", "jetstream"),
}


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


async def reload(house: House) -> list[str]:
    """Go by the configuration as the file says it now; the keys that have changed and count only after a restart.

    Raises GatewayError (ConfigError with every problem), and nothing has changed then.
    """
    old, config = house.config, load(house.path)
    plan = resolve_memory(config, *machine_limits())
    judge = judge_of(config, clock=time.monotonic, wall=time.time)
    access, endpoints = access_of(config), endpoints_of(config)
    registry = Registry(config.device) if config.device != old.device else None

    house.config, house.plan = config, plan
    if config.log != old.log:
        set_up(config.log)
    server = house.server
    room = server.room
    room.limits = session_limits(config)
    room.heartbeat = config.heartbeat.interval
    room.auth_deadline = config.auth.deadline
    server.speak(*house.dialects())
    server.adopt(server_limits(config, plan), bounds_of(config))
    server.apply(access, judge, endpoints)
    server.budget.adopt(limit=plan.outboxes, kernel=plan.kernel)
    ring = room.log.ring  # type: ignore[attr-defined] # both logs that there are have one
    ring.limit, ring.age = plan.history, config.history.age
    if registry is not None:
        # Before the hub asks anew whose messages are kept.
        house.readings.replace(registry)
        house.freshness.relimit(stale_after(config))
    room.hub.adopt(
        last_values=config.limits.last_values,
        last_values_memory=plan.last_values,
        period=config.heartbeat.interval,
    )
    house.freshness.most = config.limits.last_values
    await house.upstreams.reload(config.upstream, payload_limit=config.limits.payload)
    left = needs_restart(old, config)
    if config != old:
        log.info("reloaded: %s; %s", ", ".join(changed(old, config)), first_word(config))
    else:
        log.info("reloaded: nothing has changed")
    if left:
        log.warning("after a restart only: %s", ", ".join(left))
    return left


def changed(old: Config, new: Config) -> list[str]:
    """The tables that say something else."""
    before, after = asdict(old), asdict(new)
    return [name for name in after if name != "written" and before[name] != after[name]]


def needs_restart(old: Config, new: Config) -> list[str]:
    """The keys that have changed and that a reload does not reach."""
    found = []
    for table, keys in _AT_START.items():
        before, after = getattr(old, table), getattr(new, table)
        found += [f"{table}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    before_places, after_places = _places(old), _places(new)
    found += [f"listen: {place} (new)" for place in after_places if place not in before_places]
    found += [f"listen: {place} (gone)" for place in before_places if place not in after_places]
    return found


def _places(config: Config) -> Sequence[str]:
    return [f"{address}:{listen.port}" for listen in config.listen for address in listen.address]
