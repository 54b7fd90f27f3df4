"""A reload: everything but the listeners' addresses changes under way, and nobody is disconnected for it.

All that can fail is tried before anything changes: a file that is wrong, or a certificate, leaves all as it was.
"""

import logging
import time
from collections.abc import Sequence

from msgspec.structs import asdict, replace

from devices.registry import Registry
from gateway.config import Config, Upstream, first_word, load
from gateway.config.sharedlog import beyond
from gateway.edge.rules import access_of, endpoints_of, judge_of
from gateway.lifecycle.house import House
from gateway.lifecycle.settings import bounds_of, dialects_of, server_limits, session_limits, stale_after, unsigned
from gateway.memory import machine_limits, resolve_memory
from gateway.operations.logs import set_up

log = logging.getLogger("gateway")

# What is opened, named or reserved once, at the start.
_AT_START = {
    "gateway": ("name", "state_dir"),
    "history": ("log", "disk", "disk_limit", "disk_age", "commit", "durable", "jetstream"),
}


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
    server.speak(*dialects_of(config, epoch=room.log.epoch, readings=house.readings))
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
