"""Rules of a log that many gateways share: who follows a broker, and what the stream has to hold."""

from gateway.config.addresses import nats_url_fault, url_scheme
from gateway.config.model import Config, JetStream, Upstream, UpstreamTls
from gateway.config.positions import Path
from gateway.config.report import Report
from gateway.topics import covers

_LOG: Path = ("history", "log")
_HERE: Path = ("history", "jetstream")


def check_shared_log(config: Config, report: Report) -> None:
    """Add to `report` what does not go together between `[history]`, its JetStream and the upstreams."""
    history = config.history
    _check_kind(config, report)
    if history.log != "jetstream":
        # Its paths are absolute by now; an untouched table has none.
        if history.jetstream != JetStream():
            report.clash(_HERE, 'nobody uses it, expected log = "jetstream" in [history]', _LOG)
        return
    _check_server(history.jetstream, report)
    if history.jetstream.prefix == "":
        for index, filter in enumerate(history.jetstream.topics):
            if filter.split("/")[0] in ("#", "+"):
                message = (
                    f'"{filter}" without a prefix would claim every subject of the cluster, expected topics that '
                    'begin with a name, such as ["sensors/#"]'
                )
                path = (*_HERE, "topics", index)
                report.clash(path if report.has(path) else (*_HERE, "prefix"), message, (*_HERE, "topics"))


def _check_kind(config: Config, report: Report) -> None:
    history = config.history
    disk: Path = ("history", "disk")
    if history.log in ("memory", "jetstream") and history.disk is not None:
        report.clash(disk, f'nothing is written there with log = "{history.log}", expected no disk', _LOG)
    if history.log == "sqlite" and history.disk is None:
        report.clash(_LOG, 'there is no file to keep it in, expected disk = "history.db" too', disk)
    shared = history.log == "jetstream"
    for index, upstream in enumerate(config.upstream):
        path: Path = ("upstream", index, "ingest")
        if shared and upstream.ingest == "own":
            message = (
                '"own" behind a shared log would store every message once per gateway, expected "one" (the gateways '
                'take turns) or "none" (devices publish to NATS themselves)'
            )
            report.clash(path, message, _LOG)
        elif not shared and upstream.ingest in ("one", "none"):
            message = f'"{upstream.ingest}" needs a log that gateways share, expected [history] log = "jetstream"'
            report.clash(path, message, _LOG)
        elif upstream.ingest == "one":
            _check_covered(config, index, report)
        elif upstream.ingest == "none" and config.history.jetstream.prefix:
            message = (
                '"none": what devices publish to NATS has no prefix, expected prefix = "" and topics = […] in '
                "[history.jetstream]"
            )
            report.clash(path, message, (*_HERE, "prefix"))


def beyond(upstream: Upstream, settings: JetStream) -> list[int]:
    """Which of the topics of an upstream, by their index, are more than the stream holds."""
    if settings.prefix and "#" in settings.topics:
        return []
    return [
        number
        for number, topic in enumerate(upstream.topics)
        if not any(covers(held, upstream.prefix + topic.filter) for held in settings.topics)
    ]


def _check_covered(config: Config, index: int, report: Report) -> None:
    upstream, settings = config.upstream[index], config.history.jetstream
    for number in beyond(upstream, settings):
        filter = upstream.prefix + upstream.topics[number].filter
        held = ", ".join(f'"{each}"' for each in settings.topics)
        message = f'"{filter}" is more than the stream holds ({held}), expected a filter within it, or more topics'
        path: Path = ("upstream", index, "topics", number, "filter")
        report.clash(path if report.has(path) else ("upstream", index), message, (*_HERE, "topics"))


def _check_server(settings: JetStream, report: Report) -> None:
    for index, url in enumerate(settings.urls):
        fault = nats_url_fault(url)
        if fault:
            report.wrong((*_HERE, "urls", index), fault)
    tls: Path = (*_HERE, "tls")
    if settings.tls != UpstreamTls() and not any(url_scheme(url) == "tls" for url in settings.urls):
        report.clash(tls, "no url uses TLS, expected tls:// in urls or no tls", (*_HERE, "urls"))
    if settings.tls.key and not settings.tls.certificate:
        message = "a key without its certificate, expected tls.certificate too"
        report.clash((*tls, "key"), message, (*tls, "certificate"))
    if settings.password_file and not settings.user:
        path: Path = (*_HERE, "password_file")
        report.clash(path, "a password without a name, expected user too", (*_HERE, "user"))
    ways = [key for key in ("user", "token_file", "credentials", "nkey_file") if getattr(settings, key)]
    if len(ways) > 1:
        others = [(*_HERE, way) for way in ways[:-1]]
        message = f"one way to sign in is enough, expected one of {', '.join(ways)}"
        report.clash((*_HERE, ways[-1]), message, *others)
