"""The command `sensor-gateway`. Thin: what a command does stands elsewhere and is imported only when it runs.

Exit codes: 0 fine, 1 failed, 2 usage, 78 bad configuration (EX_CONFIG of sysexits.h).
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.config import DEFAULT_PATH, Config, ConfigError, load
from gateway.errors import GatewayError
from gateway.units import parse_duration

EX_CONFIG = 78

# Files are opened by those who can say what is wrong with them, all problems at once.
FILE = click.Path(path_type=Path)


class Commands(click.Group):
    """Turns errors meant for people into one clear line and an exit code; lists commands in the order of their use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ConfigError as error:
            click.echo(str(error), err=True)
            context.exit(EX_CONFIG)
        except GatewayError as error:
            click.echo(f"sensor-gateway: {error}", err=True)
            context.exit(1)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage, 78 bad configuration. To see it at work: sensor-gateway demo",
)
@click.version_option(__version__, prog_name="sensor-gateway")
def main() -> None:
    """Streams MQTT sensor messages to live dashboards over secure WebSocket."""


def _load(path: Path | None) -> Config:
    """The configuration at `path`; the default one may be missing: then all keys have their defaults."""
    if path is None and not DEFAULT_PATH.exists():
        return load(None)
    return load(path or DEFAULT_PATH)


def _place(path: Path | None) -> Path | None:
    """The configuration file that a command is about; None where there is none at the default place."""
    return path or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)


@main.command(short_help="Run the gateway until it is told to stop")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def run(config: Path | None) -> None:
    """Run the gateway until it is told to stop."""
    settings = _load(config)
    from gateway.daemon import run

    sys.exit(run(settings, _place(config)))


@main.command(short_help='Print "ok", or every problem of a configuration file')
@click.argument("file", type=FILE, required=False)
def check(file: Path | None) -> None:
    """Check a configuration file: prints "ok", or every problem with its line.

    Without FILE the default one; where there is none, every key has its default, and that is fine too.
    """
    _load(file)
    click.echo("ok" if _place(file) else f"ok: there is no {DEFAULT_PATH}, so every key has its default")


@main.command(short_help="Show it all here: broker, simulated sensors, gateway, page")
@click.option(
    "--broker", metavar="URL", help="Use this broker in place of the embedded one, for topics under sensors/."
)
@click.option("--devices", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Simulated devices.")
def demo(broker: str | None, devices: int) -> None:
    """Show everything on this machine: broker, simulated sensors, gateway, dashboard."""
    from gateway.commands.demo import run_demo

    sys.exit(run_demo(broker=broker, devices=devices))


@main.command(short_help="Print the messages whose topics match, as they come")
@click.argument("filters", metavar="FILTER...", nargs=-1, required=True)
@click.option("--url", default="wss://localhost:8443/stream", show_default=True, help="The gateway's stream.")
@click.option("--token-file", type=FILE, help="File with a token.")
@click.option("--ca", type=FILE, help="Certificates to trust (PEM), in place of the system's.")
@click.option("--insecure", is_flag=True, help="Believe any certificate.")
@click.option("--json", "raw", is_flag=True, help="Print every object of the stream as it comes, one a line.")
def watch(
    filters: tuple[str, ...], url: str, token_file: Path | None, ca: Path | None, insecure: bool, raw: bool
) -> None:
    """Print the messages whose topics match, as they come; notes go to standard error."""
    from gateway.commands.watch import Watch, run_watch
    from gateway.commands.watch_text import Printer
    from gateway.topics import validate_filter

    for each in filters:
        try:
            validate_filter(each)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="FILTER") from None
    printer = Printer(sys.stdout, sys.stderr, raw=raw)
    sys.exit(run_watch(Watch(list(filters), url, printer, token_file=token_file, ca=ca, insecure=insecure)))


@main.command(short_help="Publish simulated sensors to a broker")
@click.option("--url", required=True, help="The broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT].")
@click.option("--devices", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Messages per second of all; default: as real ones."
)
@click.option("--families", help="Families, separated by commas; default: all.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed says the same things.")
@click.option("--username", help="For the broker.")
@click.option("--password-file", type=FILE, help="File with the password for the broker.")
@click.option("--ca", type=FILE, help="Certificates to trust for mqtts (PEM), in place of the system's.")
def simulate(
    url: str,
    devices: int,
    rate: float | None,
    families: str | None,
    seed: int,
    username: str | None,
    password_file: Path | None,
    ca: Path | None,
) -> None:
    """Publish simulated sensors to a broker until Ctrl-C; takes back what it retained there."""
    from devices.simulator import Fleet
    from gateway.commands.simulate import Simulation, run_simulation

    try:
        fleet = Fleet(seed, devices, families.split(",") if families else None, rate=rate)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--families") from None
    sys.exit(run_simulation(Simulation(fleet, url, username=username, password_file=password_file, ca=ca)))


@main.group(short_help="Tokens by which people and programs sign in")
def token() -> None:
    """Tokens by which people and programs sign in."""


def _expiry(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@token.command("new")
@click.argument("name")
@click.option("--role", required=True, help="What it may see and do: the name of a [[role]].")
@click.option(
    "--expires", callback=_expiry, metavar="TIME", help='How long it is valid, such as "90d"; default: for ever.'
)
@click.option("--link", is_flag=True, help="Print addresses of the page that sign in with it.")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def token_new(name: str, role: str, expires: float | None, link: bool, config: Path | None) -> None:
    """Make a token and print it: it is shown this once."""
    settings = _load(config)
    from gateway.commands.tokens import links, new_token

    text = new_token(settings, name, role, now=time.time(), expires=expires)
    click.echo("\n".join(links(settings, text)) if link else text)


@token.command("list")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def token_list(config: Path | None) -> None:
    """Show every token: never its secret, which is kept nowhere."""
    settings = _load(config)
    from gateway.commands.tokens import listed

    click.echo("\n".join(listed(settings, now=time.time())))


@token.command("revoke")
@click.argument("name")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def token_revoke(name: str, config: Path | None) -> None:
    """Take a token away; who is signed in with it is out within a second."""
    settings = _load(config)
    from gateway.commands.tokens import revoke_token

    click.echo(revoke_token(settings, name))


@main.command("origin-test", short_help="Tell whether a page may connect, and why")
@click.argument("url")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def origin_test(url: str, config: Path | None) -> None:
    """Tell whether a page at URL may connect, why, and what would allow it."""
    settings = _load(config)
    from gateway.commands.origins import ask

    answers = ask(settings, url)
    for answer in answers:
        click.echo(f"{answer.listener}: {'allowed' if answer.allowed else 'refused'}: {answer.reason}")
        if answer.remedy:
            click.echo(f"  to allow it: {answer.remedy}")
    sys.exit(0 if any(answer.allowed for answer in answers) else 1)


# The running gateway, and the machine it runs on.


@main.command(short_help="Let the running gateway read its configuration again")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def reload(config: Path | None) -> None:
    """Let the running gateway read its configuration again; waits, and prints what is wrong with it."""
    from gateway.commands.running import run_reload

    run_reload(_place(config), click.echo, partial(click.echo, err=True))


@main.command(short_help="Tell why a panel that shows a topic is empty")
@click.argument("topic")
@click.option("--client", metavar="ID", help="Only this client: the beginning of its session, as top shows it.")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def explain(topic: str, client: str | None, config: Path | None) -> None:
    """Tell why a panel that shows TOPIC is empty: what was seen, granted, filtered, merged, queued, sent."""
    from gateway.commands.running import run_explain

    sys.exit(0 if run_explain(_place(config), topic, client, click.echo) else 1)


@main.command(short_help="Show what the running gateway does, live")
@click.option("--once", is_flag=True, help="Print once, as text, and end.")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def top(once: bool, config: Path | None) -> None:
    """Show clients, rates, queues and links of the running gateway, live, until Ctrl-C."""
    from gateway.commands.top import run_top

    run_top(_place(config), once=once, say=click.echo)


@main.command(short_help="Look at all that a gateway needs; each is ok, or how to mend it")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def doctor(config: Path | None) -> None:
    """Look at all that a gateway needs; of each thing: ok, or how to mend it. Exit status 1 where something fails."""
    from gateway.commands.doctor import FAILURE, examine

    failed = False
    for found in examine(_place(config)):
        click.echo(str(found))
        failed = failed or found.verdict == FAILURE
    sys.exit(1 if failed else 0)


@main.command(short_help="Write a first configuration, for this machine or a network")
@click.option("--broker", metavar="URL", default="mqtt://127.0.0.1:1883", show_default=True, help="Where to listen.")
@click.option("--lan", is_flag=True, help="Serve the whole network: makes an authority, a certificate and a token.")
@click.option("--config", type=FILE, default=DEFAULT_PATH, show_default=True, help="The file to write.")
@click.option("--state-dir", type=FILE, help="Where to keep state, in place of /var/lib/sensor-gateway.")
def init(broker: str, lan: bool, config: Path, state_dir: Path | None) -> None:
    """Write a first configuration, and say which families of devices the broker has."""
    from gateway.commands.init import run_init

    for line in run_init(config, broker, lan=lan, state_dir=state_dir):
        click.echo(line)


@main.group(short_help="Certificates of an authority of your own")
def certificate() -> None:
    """Certificates of an authority of your own."""


FOLDER = click.option(
    "--folder", type=FILE, default=DEFAULT_PATH.parent / "tls", show_default=True, help="Where they are kept."
)


@certificate.command("new")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@FOLDER
def certificate_new(names: tuple[str, ...], folder: Path) -> None:
    """Make one for the NAMEs (hosts, addresses); without any for all that this machine is reached by."""
    from gateway.commands.certificate import new

    for line in new(folder, names):
        click.echo(line)


@certificate.command("renew")
@FOLDER
def certificate_renew(folder: Path) -> None:
    """Make it anew for the same names; a running gateway takes it up within a second."""
    from gateway.commands.certificate import renew

    for line in renew(folder):
        click.echo(line)


@certificate.command("show")
@click.option("--folder", type=FILE, help="Where they are kept; default: tls beside the configuration file.")
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def certificate_show(folder: Path | None, config: Path | None) -> None:
    """Show names and days left of every certificate that the configuration names."""
    settings = _load(config)
    folder = folder or (config or DEFAULT_PATH).parent / "tls"
    from gateway.commands.certificate import show

    for line in show(settings, folder):
        click.echo(line)


@main.command(short_help="Write configuration, certificates, tokens, history into a file")
@click.argument("file", type=FILE)
@click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")
def backup(file: Path, config: Path | None) -> None:
    """Write configuration, certificates, tokens and history into FILE; the gateway may run."""
    settings = _load(config)
    from gateway.commands.archive import backup as run_backup

    for line in run_backup(settings, _place(config), file):
        click.echo(line)


@main.command(short_help="Put back what a backup holds")
@click.argument("file", type=FILE)
@click.option("--config", type=FILE, default=DEFAULT_PATH, show_default=True, help="Configuration file.")
def restore(file: Path, config: Path) -> None:
    """Put back what a backup holds; the gateway must not run."""
    from gateway.commands.archive import restore as run_restore

    for line in run_restore(config, file):
        click.echo(line)
