"""From the configuration to the rules that the edge goes by: roles, credentials, origins, listeners."""

import ipaddress
import socket
from collections.abc import Callable

from gateway.config import Config, Listen
from gateway.edge.credentials import JWT, TOKEN, Judge
from gateway.edge.doors import Door
from gateway.edge.endpoints import Endpoint
from gateway.edge.hosts import own_names
from gateway.edge.jwts import Jwts
from gateway.edge.origin import parse_rule
from gateway.edge.roles import VIEWER, Role
from gateway.edge.tls import TlsFiles
from gateway.edge.tokens import Tokens
from gateway.edge.visits import Access
from gateway.errors import GatewayError

TOKENS = "tokens.json"


def tokens_of(config: Config) -> Tokens:
    """The file of tokens: as configured, else in the state folder. Not read yet."""
    return Tokens(config.auth.tokens_file or config.gateway.state_dir / TOKENS)


def roles_of(config: Config) -> dict[str, Role]:
    """Every role by its name; without one of that name, viewer is who may read all and nothing more."""
    roles = {
        r.name: Role(r.name, r.subscribe, r.publish, r.deny, r.retain, r.rights, r.certificates) for r in config.role
    }
    roles.setdefault(VIEWER.name, VIEWER)
    return roles


def judge_of(config: Config, *, clock: Callable[[], float], wall: Callable[[], float]) -> Judge:
    """Who judges credentials. Raises GatewayError where a key or the file of tokens cannot be used."""
    auth = config.auth
    tokens = jwts = None
    if TOKEN in auth.methods:
        tokens = tokens_of(config)
        tokens.refresh()
    if JWT in auth.methods:
        if auth.jwt is None:
            raise GatewayError('the method "jwt" needs [auth] jwt = {algorithm = …, key_file = …}')
        jwts = Jwts(
            algorithm=auth.jwt.algorithm,
            key_file=auth.jwt.key_file,
            audience=auth.jwt.audience,
            issuer=auth.jwt.issuer,
            role_claim=auth.jwt.role,
            topics_claim=auth.jwt.topics,
        )
    return Judge(
        roles=roles_of(config),
        methods=auth.methods,
        tokens=tokens,
        jwts=jwts,
        by_proxy=(auth.proxy.user, auth.proxy.role),
        clock=clock,
        wall=wall,
    )


def access_of(config: Config) -> Access:
    """Which pages may come in, and what those get who show nothing."""
    rules = [parse_rule(text) for text in config.origins.allow]
    return Access(rules, config.origins.missing, config.auth.anonymous, config.origins.allow)


def door_of(listen: Listen) -> Door:
    """The rules of one listener."""
    return Door(
        anonymous=listen.anonymous,
        hosts=own_names(socket.gethostname(), listen.hosts),
        proxies=tuple(ipaddress.ip_network(text) for text in listen.trusted_proxies),
        proxy_protocol=listen.proxy_protocol,
        metrics=listen.metrics,
        dialects=frozenset(listen.dialects),
    )


def endpoints_of(config: Config) -> list[Endpoint]:
    """Where to listen. Raises GatewayError where a certificate cannot be used."""
    found = []
    for listen in config.listen:
        tls = TlsFiles(listen.tls.certificate, listen.tls.key, listen.tls.client_ca) if listen.tls else None
        door = door_of(listen)
        places = ("" if address == "*" else address for address in listen.address)
        found += [Endpoint(place, listen.port, tls, listen.reuse_port, door) for place in places]
    return found
