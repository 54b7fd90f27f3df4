"""What a role may see and do: verdicts on filters and topics, with reasons. Pure."""

from typing import NamedTuple

import msgspec

from gateway.topics import covers, matches, overlaps, shorten, validate_filter


class Role(msgspec.Struct, frozen=True):
    """Rights of a client. `subscribe`, `publish` and `deny` are topic filters; deny beats allow.

    `rights` beside topics: "metrics" (the figures) and "gateway" (clients, upstreams, rejected origins).
    """

    name: str
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    retain: bool = False
    rights: tuple[str, ...] = ()


VIEWER = Role("viewer", subscribe=("#",))


class Grant(NamedTuple):
    """Whether a filter is granted, and in words why not, or what it leaves out."""

    granted: bool
    reason: str | None = None
    code: str | None = None


def grant(role: Role, filter: str) -> Grant:
    """Whether `role` may subscribe to `filter`: only where an allowed filter contains it wholly."""
    try:
        validate_filter(filter)
    except ValueError as error:
        return Grant(False, str(error), "bad-filter")
    if not any(covers(allowed, filter) for allowed in role.subscribe):
        return Grant(False, f'role "{role.name}" may not subscribe to {shorten(filter)}', "forbidden")
    if any(covers(deny, filter) for deny in role.deny):
        return Grant(False, f'role "{role.name}" is denied {shorten(filter)}', "forbidden")
    denied = [deny for deny in role.deny if overlaps(deny, filter)]
    if denied:
        return Grant(True, f"without {', '.join(shorten(d) for d in denied)}")
    return Grant(True)


def may_see(role: Role, topic: str) -> bool:
    """Whether `role` may know of `topic` at all."""
    return any(matches(f, topic) for f in role.subscribe) and not any(matches(d, topic) for d in role.deny)


def may_publish(role: Role, topic: str) -> bool:
    """Whether `role` may publish to `topic` (a valid topic name)."""
    return any(matches(f, topic) for f in role.publish) and not any(matches(d, topic) for d in role.deny)
