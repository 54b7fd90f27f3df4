"""What a role may see and do: verdicts on filters and topics, with reasons. Pure."""

from typing import NamedTuple

import msgspec

from gateway.topics import covers, matches, overlaps, shorten, validate_filter

PLACEHOLDER = "%u"


class Role(msgspec.Struct, frozen=True):
    """Rights of a client. `subscribe`, `publish` and `deny` are topic filters; deny beats allow.

    `rights` beside topics: "metrics" (the figures) and "gateway" (clients, upstreams, rejected origins).
    `certificates` are names (CN or subjectAltName) of client certificates that sign in with this role.
    """

    name: str
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    retain: bool = False
    rights: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    def right(self, name: str) -> bool:
        """Whether the role has a right beside topics."""
        return name in self.rights


def for_user(role: Role, user: str) -> Role:
    """`role` with `%u` in its filters replaced by the user's name.

    Raises ValueError where the filters need a name and this one cannot stand in a topic level: a wildcard or a slash
    in it would open what belongs to others.
    """
    filters = (*role.subscribe, *role.publish, *role.deny)
    if not any(PLACEHOLDER in filter for filter in filters):
        return role
    if not user or any(c in user for c in "+#/\0") or user.startswith("$"):
        raise ValueError(f'role "{role.name}" has {PLACEHOLDER} in its topics, and this user name cannot stand there')

    def filled(filters: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filter.replace(PLACEHOLDER, user) for filter in filters)

    return msgspec.structs.replace(
        role, subscribe=filled(role.subscribe), publish=filled(role.publish), deny=filled(role.deny)
    )


def narrowed(role: Role, filters: tuple[str, ...]) -> Role:
    """`role`, reading only those of `filters` that it may read anyhow."""
    kept = []
    for filter in filters:
        try:
            validate_filter(filter)
        except ValueError:
            continue  # a credential that names no filter there names nothing
        if any(covers(allowed, filter) for allowed in role.subscribe):
            kept.append(filter)
    return msgspec.structs.replace(role, subscribe=tuple(kept))


VIEWER = Role("viewer", subscribe=("#",))


class Grant(NamedTuple):
    """Whether a filter is granted, and in words why not, or what it leaves out."""

    granted: bool
    reason: str | None = None
    code: str | None = None


_GRANTED = Grant(True)


def grant(role: Role, filter: str) -> Grant:
    """Whether `role` may subscribe to `filter`: only where an allowed filter contains it wholly."""
    try:
        validate_filter(filter)
    except ValueError as error:
        return Grant(False, str(error), "bad-filter")
    # A page may name hundreds of filters: no generator where a loop does.
    for allowed in role.subscribe:
        if covers(allowed, filter):
            break
    else:
        return Grant(False, f'role "{role.name}" may not subscribe to {shorten(filter)}', "forbidden")
    if not role.deny:
        return _GRANTED
    if any(covers(deny, filter) for deny in role.deny):
        return Grant(False, f'role "{role.name}" is denied {shorten(filter)}', "forbidden")
    denied = [deny for deny in role.deny if overlaps(deny, filter)]
    if denied:
        return Grant(True, f"without {', '.join(shorten(d) for d in denied)}")
    return _GRANTED


def may_see(role: Role, topic: str) -> bool:
    """Whether `role` may know of `topic` at all."""
    return any(matches(f, topic) for f in role.subscribe) and not any(matches(d, topic) for d in role.deny)


def may_publish(role: Role, topic: str) -> bool:
    """Whether `role` may publish to `topic` (a valid topic name)."""
    return any(matches(f, topic) for f in role.publish) and not any(matches(d, topic) for d in role.deny)
