"""A reload: everything but the listeners' addresses changes under way, and nobody is disconnected for it.

All that can fail is tried before anything changes: a file that is wrong, or a certificate, leaves all as it was.
"""

import logging
import time
from collections.abc import Callable, Sequence

from msgspec.structs import asdict, replace

from devices.registry import Registry
from gateway.config import Config, Upstream, first_word, load
from gateway.config.sharedlog import beyond
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
    followed = followed_as(config, house.begun, house.upstreams.settings)
    await house.upstreams.reload(followed, payload_limit=config.limits.payload)
    if house.shared is not None:
        house.shared.call_unsigned(unsigned(followed))
    left = needs_restart(house.begun, config, followed)
    if config != old:
        log.info("reloaded: %s; %s", ", ".join(changed(old, config)), first_word(config))
    else:
        log.info("reloaded: nothing has changed")
    if left:
        log.warning("after a restart only: %s", ", ".join(left))
    return left


def followed_as(config: Config, begun: Config, present: Sequence[Upstream]) -> Sequence[Upstream]:
    """The upstreams as they can be followed over the log that there is.

    Who follows one belongs to the log, and so does what a stream holds: where that is another one only after a restart,
    the rest waits for it too.
    """
    history, before = config.history, begun.history
    if (history.log, history.jetstream) == (before.log, before.jetstream):
        return config.upstream
    shared = before.log == "jetstream"
    followed = {each.name: each for each in present}
    found = []
    for each in config.upstream:
        now = followed.get(each.name)
        if now is not None and now.ingest != each.ingest:
            # The client id goes with it: another one would leave the broker's session behind.
            each = replace(each, ingest=now.ingest, client_id=now.client_id)
        elif now is None and (each.ingest == "own") == shared:
            each = replace(each, ingest="one" if shared else "own")
        if shared and each.ingest == "one" and beyond(each, before.jetstream):
            # The stream would take none of it, and what comes behind it would wait for ever.
            if now is None:
                continue
            each = replace(each, prefix=now.prefix, topics=now.topics)
        found.append(each)
    return found


def unsigned(upstreams: Sequence[Upstream]) -> str:
    """The name under which comes what devices put into a shared log themselves, "" where they do not."""
    return next((each.name for each in upstreams if each.ingest == "none"), "")


def changed(old: Config, new: Config) -> list[str]:
    """The tables that say something else."""
    before, after = asdict(old), asdict(new)
    return [name for name in after if name != "written" and before[name] != after[name]]


def needs_restart(begun: Config, new: Config, followed: Sequence[Upstream]) -> list[str]:
    """The keys that are not as they were at the start, and that a reload does not reach."""
    found = []
    for table, keys in _AT_START.items():
        before, after = getattr(begun, table), getattr(new, table)
        found += [f"{table}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    present = {each.name: each for each in followed}
    for wanted in new.upstream:
        now = present.get(wanted.name)
        if now is None:
            found.append(f"upstream: {wanted.name} (new)")
            continue
        for key in ("ingest", "prefix", "topics"):
            if getattr(wanted, key) != getattr(now, key):
                found.append(f"upstream.{wanted.name}.{key}")
    before_places, after_places = _places(begun), _places(new)
    found += [f"listen: {place} (new)" for place in after_places if place not in before_places]
    found += [f"listen: {place} (gone)" for place in before_places if place not in after_places]
    return found


def _places(config: Config) -> Sequence[str]:
    return [f"{address}:{listen.port}" for listen in config.listen for address in listen.address]
