"""`doctor`: looks at everything that a gateway needs, and says of each thing that it is well, or how to mend it."""

import asyncio
import errno
import os
import resource
import shlex
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway.commands.certificate import renewal
from gateway.commands.running import status_of
from gateway.commands.tokens import try_sign_in
from gateway.config import DEFAULT_PATH, Config, ConfigError, Upstream, load
from gateway.edge.descriptors import RESERVED_FDS
from gateway.edge.tls import DAY, WARN_DAYS, certificate_facts
from gateway.errors import GatewayError
from gateway.logs.wear import bytes_per_day
from gateway.memory import machine_limits, resolve_memory
from gateway.operations.control import Denied
from gateway.operations.lines import escape
from gateway.units import format_duration, format_size
from gateway.upstream.address import parse

OK, WARNING, FAILURE = "ok", "warning", "failure"
CONNECT = 4.0
BUILT = 1_767_225_600.0  # 2026-01-01: no clock of a box that runs this is right before it
_TIMESYNC = Path("/run/systemd/timesync/synchronized")


class Check(NamedTuple):
    """What was looked at, how it is, in words, and what to do where it is not well."""

    subject: str
    verdict: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.verdict:<8} {self.subject}: {escape(self.text)}"
        return f"{line}\n         → {self.fix}" if self.fix else line


def examine(path: Path | None, *, wall: float | None = None) -> Iterator[Check]:
    """Every check, one after another: some wait for a network."""
    now = time.time() if wall is None else wall
    try:
        config = load(path)
    except ConfigError as error:
        problems = str(error).splitlines()
        yield Check("configuration", FAILURE, problems[0], f"mend it, then: {_typed(path, 'check')}")
        for problem in problems[1:]:
            yield Check("configuration", FAILURE, problem)
        # One that was started before goes on, and what it does not tell hangs on the file.
        yield from _running(*_status(path), path)
        return
    yield Check("configuration", OK, str(path) if path else "none: every key has its default")
    status, failure = _status(path)
    yield from _running(status, failure, path)
    for upstream in config.upstream:
        yield from _broker(upstream, status)
    yield _signing_in(config, path)
    yield from _certificates(config, now)
    yield from _limits(config)
    if config.history.log == "jetstream":
        yield _shared_log(config)
    else:
        try:
            yield from _disk(config)
        except PermissionError as error:
            text = f"you may not look into {error.filename}"
            yield Check("disk", WARNING, text, f"sudo {_typed(path, 'doctor')}")
    yield _clock(now)
    if status is None and not _runs(failure):
        yield from _ports(config)


def _status(path: Path | None) -> tuple[dict[str, Any] | None, GatewayError | None]:
    """How the running gateway is, or why nobody says."""
    try:
        return status_of(path), None
    except GatewayError as error:
        return None, error


def _typed(path: Path | None, command: str, *words: str) -> str:
    """What to type for a command on the file that is looked at."""
    if path not in (None, DEFAULT_PATH):
        words += (str(path),) if command == "check" else ("--config", str(path))
    return shlex.join(["sensor-gateway", command, *words])


def _running(status: dict[str, Any] | None, failure: GatewayError | None, path: Path | None) -> Iterator[Check]:
    if status is None:
        fix = "systemctl start sensor-gateway; journalctl -u sensor-gateway -n 50"
        if path not in (None, DEFAULT_PATH):  # which unit runs on it, if any, is not for us to know
            fix = f"{_typed(path, 'run')}, or the unit that does"
        yield Check("gateway", WARNING, str(failure), f"sudo {_typed(path, 'doctor')}" if _runs(failure) else fix)
        return
    yield Check("gateway", OK, f"{status['version']} runs: {status['words']}")
    for name, fault in status["faults"].items():
        yield Check(name, FAILURE, fault, "systemd restarts it in a minute; journalctl -u sensor-gateway says more")
    if "REFUSED" in status["words"]:
        yield Check("reload", WARNING, status["words"], f"mend the file, then: {_typed(path, 'reload')}")
    for rejected in status["rejected_origins"][:5]:
        origin = str(rejected.get("origin", rejected))
        yield Check("origins", WARNING, f"pages of {origin} were refused", _typed(path, "origin-test", escape(origin)))
    if not status["rejected_origins"]:
        yield Check("origins", OK, "no page was refused")
    room = status["connections_limit"]
    verdict = WARNING if status["connections"] > 0.8 * room else OK
    fix = "raise [limits] connections, or [gateway] memory_budget" if verdict is WARNING else ""
    yield Check("connections", verdict, f"{status['connections']} of {room}", fix)


def _runs(failure: GatewayError | None) -> bool:
    """Whether there may be a gateway all the same, so that it is no fault that its ports are taken."""
    return isinstance(failure, Denied)


def _broker(upstream: Upstream, status: dict[str, Any] | None) -> Iterator[Check]:
    subject = f"broker {upstream.name}"
    link = next((each for each in status["upstreams"] if each["name"] == upstream.name), None) if status else None
    if link is not None and link["state"] == "connected":
        yield Check(subject, OK, f"connected to {link['url']}, {link['messages']:,} messages")
        return
    if link is not None:
        fix = (
            "see [[upstream]] username, password_file" if link["state"] == "refused" else "see below which url answers"
        )
        yield Check(subject, FAILURE, f"{link['state']}: {link.get('reason') or 'no reason known'}", fix)
    for url in upstream.urls:
        yield _reach(subject, upstream, url)


def _reach(subject: str, upstream: Upstream, url: str) -> Check:
    address = parse(url)
    try:
        if not address.host:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(CONNECT)
                sock.connect(address.path)
            return Check(subject, OK, f"{url} answers")
        with socket.create_connection((address.host, address.port), CONNECT) as sock:
            if address.tls:
                cafile = str(upstream.tls.ca) if upstream.tls.ca else None
                context = ssl.create_default_context(cafile=cafile)
                if upstream.tls.insecure:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                with context.wrap_socket(sock, server_hostname=address.host):
                    return Check(subject, OK, f"{url} answers, its certificate is good")
        return Check(subject, OK, f"{url} answers")
    except ssl.SSLCertVerificationError as error:
        fix = "give the CA that signed it as [[upstream]] tls.ca, or use a name that stands in the certificate"
        return Check(subject, FAILURE, f"{url}: its certificate is not believed: {error.verify_message}", fix)
    except OSError as error:
        why = error.strerror or str(error) or "no answer in time"
        return Check(subject, FAILURE, f"{url}: {why}", "is the broker running, and is the address right?")


def _signing_in(config: Config, path: Path | None) -> Check:
    """What a start reads before anybody could sign in: tokens, keys, and the library that looks at them."""
    try:
        try_sign_in(config)
    except GatewayError as error:
        return Check("signing in", FAILURE, str(error), f"nothing starts on it: mend it, then: {_typed(path, 'check')}")
    return Check("signing in", OK, f"by {', '.join(config.auth.methods)}" if config.auth.methods else "nobody can")


def _certificates(config: Config, now: float) -> Iterator[Check]:
    for listen in config.listen:
        if listen.tls is None:
            continue
        subject = f"certificate of port {listen.port}"
        try:
            facts = certificate_facts(listen.tls.certificate)
        except GatewayError as error:
            yield Check(subject, FAILURE, str(error), "sensor-gateway certificate new")
            continue
        days = (facts.not_after - now) / DAY
        names = ", ".join(facts.names) or facts.common_name
        fix = renewal(listen.tls.certificate)
        if days <= 0:
            yield Check(subject, FAILURE, f"{names}: expired {-days:.0f} days ago", fix)
        elif days <= max(WARN_DAYS):
            yield Check(subject, WARNING, f"{names}: {days:.0f} days left", fix)
        else:
            yield Check(subject, OK, f"{names}: {days:.0f} days left")


def _limits(config: Config) -> Iterator[Check]:
    try:
        plan = resolve_memory(config, *machine_limits())
    except GatewayError as error:
        yield Check("memory", FAILURE, str(error), "less in the keys named, or a larger [gateway] memory_budget")
        return
    yield Check("memory", OK, str(plan))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard - RESERVED_FDS < plan.connections:
        text = f"{hard} file descriptors are too few for {plan.connections} connections"
        yield Check("file descriptors", WARNING, text, "LimitNOFILE= in the unit, or ulimit -n")
    else:
        yield Check("file descriptors", OK, "enough for every connection")


_SENSORS, _SENSOR_BYTES = 20, 150  # what a house or a small plant says a second


def _disk(config: Config) -> Iterator[Check]:
    if config.history.disk is None:
        yield Check("disk", OK, "history is kept in memory alone")
        return
    folder = config.history.disk.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    size = config.history.disk.stat().st_size if config.history.disk.exists() else 0
    if free < config.history.disk_limit - size:
        text = f"{format_size(free)} free, the history may grow by {format_size(config.history.disk_limit - size)}"
        yield Check(
            "disk",
            WARNING,
            text,
            "make room, or a smaller [history] disk_limit; when it is full the stream goes on without",
        )
    else:
        yield Check("disk", OK, f"{format_size(free)} free")
    history = config.history
    daily = bytes_per_day(_SENSORS, _SENSOR_BYTES, commit=history.commit, durable=history.durable)
    text = f"at {_SENSORS} messages a second of {_SENSOR_BYTES} B about {daily / 1e9:.1f} GB are written a day"
    yield Check("disk writes", OK, text)
    if not os.access(folder, os.W_OK):
        yield Check("disk", WARNING, f"you may not write {folder}", "as which user does the gateway run?")
    if _is_card(folder) and config.history.commit < 10.0:
        text = f"an SD card that is written every {format_duration(config.history.commit)}"
        yield Check("disk wear", WARNING, text, '[history] commit = "10s" or rarer spares it')


def _shared_log(config: Config) -> Check:
    settings = config.history.jetstream
    try:
        from gateway.logs.stream import examine_stream

        fault = asyncio.run(examine_stream(settings, CONNECT))
    except GatewayError as error:
        return Check("shared log", FAILURE, str(error), f"do the NATS servers run? {', '.join(settings.urls)}")
    if fault:
        return Check("shared log", FAILURE, fault, "the same [history.jetstream] on every gateway, or another stream")
    return Check("shared log", OK, f"the stream {settings.stream} is in reach")


def _is_card(folder: Path) -> bool:
    device = folder.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    return name.startswith("mmcblk")


def _clock(now: float) -> Check:
    if now < BUILT:
        return Check(
            "clock", FAILURE, "it is wrong: certificates and tokens cannot be judged", "timedatectl set-ntp true"
        )
    if _TIMESYNC.exists() or shutil.which("chronyc") or shutil.which("ntpq"):
        return Check("clock", OK, "it is kept by the network")
    return Check("clock", WARNING, "nobody is known to keep it", "timedatectl set-ntp true (systemd-timesyncd)")


_ADVICE = {
    errno.EADDRINUSE: "somebody else has it: ss -ltnp sport = :{port}",
    errno.EACCES: "this user may not: below 1024 let systemd open the socket, or take another port",
}
_NO_ADDRESS = "is it an address of this machine? ip address shows them"


def _ports(config: Config) -> Iterator[Check]:
    for listen in config.listen:
        for address in listen.address:
            if address.startswith("unix:") or not listen.port:
                continue
            host = "" if address == "*" else address
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind((host, listen.port))
                except OSError as error:
                    fix = _ADVICE.get(error.errno or 0, _NO_ADDRESS).format(port=listen.port)
                    yield Check("listener", FAILURE, f"{address}:{listen.port}: {error.strerror}", fix)
