"""Rules that no key can break alone: what does not go together, and where clients would be in danger."""

from collections.abc import Iterable
from itertools import combinations

from gateway.config.addresses import (
    address_fault,
    endpoint,
    is_loopback,
    overlapping,
    url_fault,
    url_scheme,
)
from gateway.config.files import check_files
from gateway.config.model import Config, Listen, Upstream, UpstreamTls
from gateway.config.positions import Path
from gateway.config.report import Report
from gateway.config.sharedlog import check_shared_log
from gateway.topics import overlaps, unshared
from gateway.units import format_duration, format_size

CLEAR_TEXT = (
    "{endpoint} would send values and tokens in the clear. Choose: tls = {{…}} (make one: sensor-gateway certificate "
    'new) · address = "127.0.0.1" (a proxy in front does TLS) · insecure = true (you accept it)'
)


def check(config: Config, report: Report) -> None:
    """Add to `report` what is wrong between the keys of `config`, and the files that they name."""
    _unique("upstream", (upstream.name for upstream in config.upstream), report)
    _unique("role", (role.name for role in config.role), report)
    for index, upstream in enumerate(config.upstream):
        _check_upstream(upstream, ("upstream", index), report)
    _check_client_ids(config.upstream, report)
    _check_prefixes(config.upstream, report)
    for index, listen in enumerate(config.listen):
        _check_listen(listen, ("listen", index), report)
    _check_overlaps(config.listen, report)
    _check_anonymous(config, report)
    _check_methods(config, report)
    _check_bounds(config, report)
    _check_history(config, report)
    check_shared_log(config, report)
    _check_devices(config, report)
    check_files(config, report)


def _check_devices(config: Config, report: Report) -> None:
    if not config.device:
        return
    # Only here: the decoders are forty modules that a configuration without [[device]] need not load to be checked.
    from devices.registry import Registry

    for index, device in enumerate(config.device):
        try:
            Registry((device,))
        except ValueError as error:
            report.wrong(("device", index), str(error))


def _unique(table: str, names: Iterable[str], report: Report) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            path, other = (table, index, "name"), (table, first[name], "name")
            report.clash(path, f'"{name}" is the name of {table}[{first[name]}] already, expected a new one', other)
        first.setdefault(name, index)


def _check_upstream(upstream: Upstream, path: Path, report: Report) -> None:
    urls = (*path, "urls")
    for index, url in enumerate(upstream.urls):
        fault = url_fault(url)
        if fault:
            report.wrong((*urls, index), fault)
    if not any(url_scheme(url) in ("mqtts", "wss") for url in upstream.urls):
        tls = (*path, "tls")
        if upstream.tls != UpstreamTls():
            report.clash(tls, "no url of this upstream uses TLS, expected mqtts:// in urls or no tls", urls)
    if upstream.tls.key and not upstream.tls.certificate:
        certificate = (*path, "tls", "certificate")
        report.clash((*path, "tls", "key"), "a key without its certificate, expected tls.certificate too", certificate)
    if upstream.password_file and not upstream.username:
        report.clash((*path, "password_file"), "a password without a name, expected username too", (*path, "username"))
    if upstream.backoff.min > upstream.backoff.max:
        shown = f"min is {format_duration(upstream.backoff.min)} and max is {format_duration(upstream.backoff.max)}"
        low, high = (*path, "backoff", "min"), (*path, "backoff", "max")
        report.clash(low if report.has(low) else high, f"{shown}, expected min to be at most max", low, high)


def _check_client_ids(upstreams: tuple[Upstream, ...], report: Report) -> None:
    for (first, one), (second, other) in combinations(enumerate(upstreams), 2):
        same_broker = bool(set(one.urls) & set(other.urls))
        # Equal names make equal ids, and are named already.
        if one.client_id == other.client_id and one.name != other.name and same_broker:
            message = (
                f'"{one.client_id}" is the client id of upstream[{first}] at the same broker, which would throw one '
                "out for the other for ever, expected another one"
            )
            report.clash(("upstream", second, "client_id"), message, ("upstream", first, "client_id"))


def _check_prefixes(upstreams: tuple[Upstream, ...], report: Report) -> None:
    for (first, one), (second, other) in combinations(enumerate(upstreams), 2):
        if one.prefix != other.prefix or one.name == other.name:
            continue  # two of one name are a slip that is named already
        pairs = (
            (a.filter, b.filter)
            for a in one.topics
            for b in other.topics
            if overlaps(unshared(a.filter), unshared(b.filter))
        )
        pair = next(pairs, None)
        if pair is not None:
            path, rival = ("upstream", second, "prefix"), ("upstream", first, "prefix")
            message = (
                f'"{pair[1]}" overlaps "{pair[0]}" of upstream[{first}], so that a topic could come from both, '
                "expected another prefix for each"
            )
            report.clash(path if report.has(path) else ("upstream", second), message, rival)


def _check_listen(listen: Listen, path: Path, report: Report) -> None:
    for index, address in enumerate(listen.address):
        where = (*path, "address", index)
        fault = address_fault(address)
        if fault:
            report.wrong(where if report.has(where) else (*path, "address"), fault)
    exposed = [address for address in listen.address if not address_fault(address) and not is_loopback(address)]
    if exposed and listen.tls is None and not listen.insecure:
        message = CLEAR_TEXT.format(endpoint=", ".join(endpoint(address, listen.port) for address in exposed))
        report.clash(path, message, *((*path, key) for key in ("address", "port", "tls", "insecure")))


def _check_overlaps(listens: tuple[Listen, ...], report: Report) -> None:
    seen: list[tuple[int, str, int]] = []
    for index, listen in enumerate(listens):
        for address in listen.address:
            for other, taken, port in seen:
                if overlapping(address, listen.port, taken, port):
                    message = (
                        f"{endpoint(address, listen.port)} overlaps {endpoint(taken, port)} of listen[{other}], "
                        "expected another port or address"
                    )
                    parts = [("listen", number, key) for number in (index, other) for key in ("address", "port", "tls")]
                    report.clash(("listen", index), message, *parts)
                    break
            seen.append((index, address, listen.port))


def _check_anonymous(config: Config, report: Report) -> None:
    roles = [role.name for role in config.role]
    places: list[tuple[Path, str | None]] = [(("auth", "anonymous"), config.auth.anonymous)]
    places += [(("listen", index, "anonymous"), listen.anonymous) for index, listen in enumerate(config.listen)]
    for path, anonymous in places:
        named = [("role", index, "name") for index in range(len(roles))]
        if anonymous == "local" and "viewer" not in roles:
            message = (
                '"local" gives visitors on this box the role viewer, and no [[role]] has that name: add one, or set '
                'anonymous = ""'
            )
            report.clash(path, message, *named)
        elif anonymous and anonymous != "local" and anonymous not in roles:
            known = ", ".join(f'"{name}"' for name in ("local", "", *roles))
            report.clash(path, f'no [[role]] is named "{anonymous}", expected one of: {known}', *named)


def _check_history(config: Config, report: Report) -> None:
    if config.history.durable and config.history.disk is None:
        report.clash(
            ("history", "durable"),
            'there is no disk to wait for, expected disk = "history.db" or durable = false',
            ("history", "disk"),
        )


def _check_methods(config: Config, report: Report) -> None:
    """Ways to sign in that lack what they need: nobody could ever come in by them."""
    methods = ("auth", "methods")
    if "jwt" in config.auth.methods and config.auth.jwt is None:
        report.clash(
            methods, '"jwt" has no key, expected [auth] jwt = { algorithm = …, key_file = … }', ("auth", "jwt")
        )
    if "certificate" in config.auth.methods:
        asked = [("listen", index, "tls", "client_ca") for index in range(len(config.listen))]
        if not any(listen.tls is not None and listen.tls.client_ca is not None for listen in config.listen):
            report.clash(methods, '"certificate" is asked by no listener, expected tls.client_ca on one', *asked)
        if not any(role.certificates for role in config.role):
            named = [("role", index, "certificates") for index in range(len(config.role))]
            report.clash(methods, '"certificate" leads to no role, expected certificates = […] in a [[role]]', *named)
    if "proxy" in config.auth.methods and not any(listen.trusted_proxies for listen in config.listen):
        proxies = [("listen", index, "trusted_proxies") for index in range(len(config.listen))]
        report.clash(methods, '"proxy" believes nobody, expected trusted_proxies on a listener', *proxies)
    for index, listen in enumerate(config.listen):
        if listen.proxy_protocol and not listen.trusted_proxies:
            path: Path = ("listen", index, "proxy_protocol")
            message = "nobody is believed to speak it, expected trusted_proxies too"
            report.clash(path, message, ("listen", index, "trusted_proxies"))


def _check_bounds(config: Config, report: Report) -> None:
    """Sizes that have to stand in an order; the message stands at the one that is written."""
    slow, limits = config.backpressure, config.limits
    ordered = [
        (("backpressure", "soft"), slow.soft, ("backpressure", "hard"), slow.hard, "less than"),
        (("limits", "payload"), limits.payload, ("backpressure", "hard"), slow.hard, "at most"),
    ]
    if slow.total is not None:
        ordered.append((("backpressure", "hard"), slow.hard, ("backpressure", "total"), slow.total, "at most"))
    for low, small, high, large, relation in ordered:
        if small > large or (small == large and relation == "less than"):
            names = f"{'.'.join(low)} is {format_size(small)} and {'.'.join(high)} is {format_size(large)}"
            blamed = low if report.has(low) else high
            report.clash(blamed, f"{names}, expected {low[-1]} to be {relation} {high[-1]}", low, high)
