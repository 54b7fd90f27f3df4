"""`token new`, `token list`, `token revoke`: the gateway itself sees the file change and acts within a second."""

import socket
import time
from datetime import UTC, datetime
from itertools import chain, count

from gateway.commands.columns import cells, padded
from gateway.commands.terminal import visible
from gateway.config import Config
from gateway.edge.rules import judge_of, roles_of, tokens_of
from gateway.errors import GatewayError


def new_token(config: Config, name: str, role: str, *, now: float, expires: float | None) -> str:
    """Make a token and return its text, which is shown this once; `expires` is seconds from `now`.

    Raises GatewayError for a role that the configuration does not have, or a name that is taken.
    """
    roles = roles_of(config)
    if role not in roles:
        raise GatewayError(f'no [[role]] is named "{role}": there are {", ".join(sorted(roles))}')
    if "token" not in config.auth.methods:
        raise GatewayError('tokens are not looked at: [auth] methods does not name "token"')
    return tokens_of(config).new(name, role, now=now, expires=None if expires is None else now + expires)


def free_name(config: Config, name: str) -> str:
    """`name`, or with a number behind it where there is a token of that name. Raises GatewayError."""
    tokens = tokens_of(config)
    tokens.refresh()
    taken = {token.name for token in tokens.all()}
    return next(each for each in chain([name], (f"{name}-{number}" for number in count(2))) if each not in taken)


def try_sign_in(config: Config) -> None:
    """Read what a start reads before anybody could sign in. Raises GatewayError for tokens or a key that are no use.

    Tokens that this user may not read are no mistake: the gateway's own user may.
    """
    try:
        tokens_of(config).path.read_bytes()
    except PermissionError:
        return
    except OSError:
        pass  # none yet, or judge_of says what is wrong
    judge_of(config, clock=time.monotonic, wall=time.time)


def links(config: Config, token: str) -> list[str]:
    """Addresses of the page that sign in with `token`. A fragment never leaves the browser."""
    found = []
    for listen in config.listen:
        scheme, usual = ("https", 443) if listen.tls else ("http", 80)
        for address in listen.address:
            if address.startswith("unix:"):
                continue
            host = next(iter(listen.hosts), socket.gethostname()) if address in ("*", "0.0.0.0", "::") else address
            shown = f"[{host}]" if ":" in host else host
            port = "" if listen.port == usual else f":{listen.port}"
            found.append(f"{scheme}://{shown}{port}/#token={token}")
    return found


def listed(config: Config, *, now: float) -> list[str]:
    """A line per token, the oldest first: id, name, role, made, until. Raises GatewayError."""
    tokens = tokens_of(config)
    tokens.refresh()
    rows = [("ID", "NAME", "ROLE", "MADE", "UNTIL")]
    for token in tokens.all():
        until = "for ever" if token.expires is None else _day(token.expires)
        if token.expires is not None and token.expires <= now:
            until += " (expired)"
        role = token.role if token.role in roles_of(config) else f"{token.role} (no such role)"
        # Somebody may have written the file by hand.
        rows.append((visible(token.id), visible(token.name), visible(role), _day(token.created), until))
    widths = [max(cells(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def revoke_token(config: Config, name: str) -> str:
    """Take a token away, by name or id; a sentence about it. Raises GatewayError where there is none."""
    token = tokens_of(config).revoke(name)
    return f"{visible(token.name)} ({visible(token.id)}) is revoked: its sessions end within a second"


def _day(unix: float) -> str:
    try:
        return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return "in no year that we know"
