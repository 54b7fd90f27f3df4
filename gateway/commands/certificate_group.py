"""`sensor-gateway certificate`: those of an authority of one's own. Thin, as `cli` is."""

from pathlib import Path

import click

from gateway.commands.options import CONFIG, FILE, configured
from gateway.config import DEFAULT_PATH


@click.group(short_help="Certificates of an authority of your own")
def certificate() -> None:
    """Certificates of an authority of your own."""


FOLDER = click.option(
    "--folder", type=FILE, default=DEFAULT_PATH.parent / "tls", show_default=True, help="Where they are kept."
)


@certificate.command("new", short_help="Make one for this machine, or for the names given")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@FOLDER
def certificate_new(names: tuple[str, ...], folder: Path) -> None:
    """Make one for the NAMEs (hosts, addresses); without any for all that this machine is reached by."""
    from gateway.commands.certificate import new

    for line in new(folder, names):
        click.echo(line)


@certificate.command("renew", short_help="Make it anew for the same names")
@FOLDER
def certificate_renew(folder: Path) -> None:
    """Make it anew for the same names; a running gateway takes it up within a second."""
    from gateway.commands.certificate import renew

    for line in renew(folder):
        click.echo(line)


@certificate.command("show", short_help="Show names and days left of every certificate")
@click.option("--folder", type=FILE, help="Where they are kept; default: tls beside the configuration file.")
@CONFIG
def certificate_show(folder: Path | None, config: Path | None) -> None:
    """Show names and days left of every certificate that the configuration names."""
    settings = configured(config)
    folder = folder or (config or DEFAULT_PATH).parent / "tls"
    from gateway.commands.certificate import show

    for line in show(settings, folder):
        click.echo(line)
