"""What a client is told of the gateway as it comes in. Pure."""

import msgspec

from gateway.edge import events
from gateway.edge.roles import Role
from gateway.edge.room import Room
from gateway.hub.ports import UpstreamState


def welcome(room: Room, session: str, role: Role) -> events.Welcome:
    """The first word to somebody who is signed in."""
    return events.Welcome(
        version=1,
        gateway=room.name,
        build=room.build,
        session=session,
        epoch=room.log.epoch,
        offset=room.log.newest,
        timestamp=room.now(),
        clock=room.clock_state,
        role=role.name,
        heartbeat=room.heartbeat,
        limits={
            "subscriptions": room.limits.subscriptions,
            "commands_per_second": int(room.limits.commands_per_second),
            "message_size": room.limits.message_size,
            **({"history": int(room.archive.reader.stored)} if room.archive is not None else {}),
        },
        upstreams=[{"name": s.name, "state": s.state, "since": s.since} for s in room.upstreams.states()],
        subscribe=list(role.subscribe),
    )


def upstream(state: UpstreamState, role: Role) -> events.Upstream:
    """The state of a link to a broker, as far as `role` may know it."""
    told = events.Upstream(name=state.name, state=state.state, since=state.since, retry_in=state.retry_in)
    if "gateway" in role.rights:
        return msgspec.structs.replace(told, host=state.url or "", reason=state.reason or "")
    return told
