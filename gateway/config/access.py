"""What anybody may read without signing in, said in words."""

from gateway.config.addresses import endpoint
from gateway.config.model import Config, Listen, Role

LOCAL_ROLE = "viewer"


def anonymous_role(config: Config, listen: Listen, *, local: bool) -> Role | None:
    """The role of a visitor of `listen` who shows no credentials; `local` says whether they come from this machine.

    None when such a visitor gets nothing.
    """
    name = config.auth.anonymous if listen.anonymous is None else listen.anonymous
    if name == "local":
        name = LOCAL_ROLE if local else ""
    return next((role for role in config.role if role.name == name), None) if name else None


def first_word(config: Config) -> str:
    """One line for the start: who may read what, on which listeners, without signing in."""
    anybody: dict[str, list[str]] = {}
    local: dict[str, list[str]] = {}
    for listen in config.listen:
        everyone, here = (anonymous_role(config, listen, local=local) for local in (False, True))
        for address in listen.address:
            place = endpoint(address, listen.port)
            if everyone is not None:
                anybody.setdefault(_may_read(everyone), []).append(place)
            elif here is not None:
                local.setdefault(_may_read(here), []).append(place)
    parts = [f"anybody who reaches {_list(places)} may read {what}" for what, places in anybody.items()]
    parts += [f"anybody on this machine may read {what} on {_list(places)}" for what, places in local.items()]
    if not parts:
        return "Without signing in nobody may read anything."
    rest = "" if anybody else "; nobody else may read anything"
    return f"Without signing in {'; '.join(parts)}{rest}."


def _may_read(role: Role) -> str:
    if not role.subscribe:
        return f"nothing (role {role.name})"
    denied = f" but not {_list(list(role.deny))}" if role.deny else ""
    return f"{_list(list(role.subscribe))}{denied} (role {role.name})"


def _list(items: list[str]) -> str:
    return ", ".join(items)
