"""The command `sensor-gateway`. Thin: what a command does stands elsewhere and is imported only when it runs.

Exit codes: 0 fine, 1 failed, 2 usage, 78 bad configuration (EX_CONFIG of sysexits.h).
"""

import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.commands.causes import denied
from gateway.commands.certificate_group import certificate
from gateway.commands.options import CONFIG, FILE, configured, place_of
from gateway.commands.terminal import visible, visible_lines
from gateway.commands.token_group import token
from gateway.config import DEFAULT_PATH, ConfigError
from gateway.errors import GatewayError

EX_CONFIG = 78


class Commands(click.Group):
    """Turns errors meant for people into one clear line and an exit code; lists commands in the order of their use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run what is typed. A full disk behind `> file` is a line as well, though it be the help that is written."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            if not _output_fails():
                raise
            click.echo(f"sensor-gateway: the output cannot be written: {error.strerror}", err=True)
            sys.exit(1)

    def invoke(self, context: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding does not have is shown all the same
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(context)
        except ConfigError as error:
            click.echo("\n".join(visible(str(problem)) for problem in error.problems), err=True)
            context.exit(EX_CONFIG)
        except GatewayError as error:
            # It may say what somebody far away has sent.
            click.echo(f"sensor-gateway: {visible_lines(str(error))}", err=True)
            context.exit(1)
        except PermissionError as error:
            # Even whether a file is there is for those to know who may look into its folder.
            if error.filename is None:
                raise
            click.echo(f"sensor-gateway: {visible(denied(error, Path(error.filename)))}", err=True)
            context.exit(1)


def _output_fails() -> bool:
    """Whether our output takes no more: what it has not taken is let go, or Python would try again at the end."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage, 78 bad configuration. To see it at work: sensor-gateway demo",
)
@click.version_option(__version__, prog_name="sensor-gateway")
def main() -> None:
    """Streams MQTT sensor messages to live dashboards over secure WebSocket."""


@main.command(short_help="Run the gateway until it is told to stop")
@CONFIG
def run(config: Path | None) -> None:
    """Run the gateway until it is told to stop."""
    settings = configured(config)
    from gateway.daemon import run

    sys.exit(run(settings, place_of(config)))


@main.command(short_help='Print "ok", or every problem of a configuration file')
@click.argument("file", type=FILE, required=False)
def check(file: Path | None) -> None:
    """Check a configuration file: prints "ok", or every problem with its line.

    Without FILE the default one; where there is none, every key has its default, and that is fine too.
    """
    settings = configured(file)
    from gateway.commands.tokens import try_sign_in

    try_sign_in(settings)
    click.echo("ok" if place_of(file) else f"ok: there is no {DEFAULT_PATH}, so every key has its default")


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
        raise click.UsageError(str(error)) from None
    sys.exit(run_simulation(Simulation(fleet, url, username=username, password_file=password_file, ca=ca)))


main.add_command(token)


@main.command("origin-test", short_help="Tell whether a page may connect, and why")
@click.argument("url")
@CONFIG
def origin_test(url: str, config: Path | None) -> None:
    """Tell whether a page at URL may connect, why, and what would allow it."""
    settings = configured(config)
    from gateway.commands.origins import ask

    answers = ask(settings, url)
    for answer in answers:
        click.echo(f"{answer.listener}: {'allowed' if answer.allowed else 'refused'}: {answer.reason}")
        if answer.remedy:
            click.echo(f"  to allow it: {answer.remedy}")
    sys.exit(0 if any(answer.allowed for answer in answers) else 1)


# The running gateway, and the machine it runs on.


@main.command(short_help="Let the running gateway read its configuration again")
@CONFIG
def reload(config: Path | None) -> None:
    """Let the running gateway read its configuration again; waits, and prints what is wrong with it."""
    from gateway.commands.running import run_reload

    run_reload(place_of(config), click.echo, partial(click.echo, err=True))


@main.command(short_help="Tell why a panel that shows a topic is empty")
@click.argument("topic")
@click.option("--client", metavar="ID", help="Only this client: the beginning of its session, as top shows it.")
@CONFIG
def explain(topic: str, client: str | None, config: Path | None) -> None:
    """Tell why a panel that shows TOPIC is empty: what was seen, granted, filtered, merged, queued, sent."""
    from gateway.commands.running import run_explain

    sys.exit(0 if run_explain(place_of(config), topic, client, click.echo) else 1)


@main.command(short_help="Show what the running gateway does, live")
@click.option("--once", is_flag=True, help="Print once, as text, and end.")
@CONFIG
def top(once: bool, config: Path | None) -> None:
    """Show clients, rates, queues and links of the running gateway, live, until Ctrl-C."""
    from gateway.commands.top import run_top

    run_top(place_of(config), once=once, say=click.echo)


@main.command(short_help="Look at all that a gateway needs; each is ok, or how to mend it")
@CONFIG
def doctor(config: Path | None) -> None:
    """Look at all that a gateway needs; of each thing: ok, or how to mend it. Exit status 1 where something fails."""
    from gateway.commands.doctor import FAILURE, examine

    failed = False
    for found in examine(place_of(config)):
        click.echo(str(found))
        failed = failed or found.verdict == FAILURE
    sys.exit(1 if failed else 0)


@main.command(short_help="Write a first configuration, for this machine or a network")
@click.option(
    "--broker", metavar="URL", default="mqtt://127.0.0.1:1883", show_default=True, help="The broker to follow."
)
@click.option("--lan", is_flag=True, help="Serve the whole network: makes an authority, a certificate and a token.")
@click.option("--config", type=FILE, default=DEFAULT_PATH, show_default=True, help="The file to write.")
@click.option("--state-dir", type=FILE, help="Where to keep state, in place of /var/lib/sensor-gateway.")
def init(broker: str, lan: bool, config: Path, state_dir: Path | None) -> None:
    """Write a first configuration, and say which families of devices the broker has."""
    from gateway.commands.init import run_init

    for line in run_init(config, broker, lan=lan, state_dir=state_dir):
        click.echo(line)


main.add_command(certificate)


@main.command(short_help="Write configuration, certificates, tokens, history into a file")
@click.argument("file", type=FILE)
@CONFIG
def backup(file: Path, config: Path | None) -> None:
    """Write configuration, certificates, tokens and history into FILE; the gateway may run."""
    settings = configured(config)
    from gateway.commands.archive import backup as run_backup

    for line in run_backup(settings, place_of(config), file):
        click.echo(line)


@main.command(short_help="Put back what a backup holds")
@click.argument("file", type=FILE)
@click.option("--config", type=FILE, default=DEFAULT_PATH, show_default=True, help="Configuration file.")
def restore(file: Path, config: Path) -> None:
    """Put back what a backup holds; the gateway must not run."""
    from gateway.commands.archive import restore as run_restore

    for line in run_restore(config, file):
        click.echo(line)
