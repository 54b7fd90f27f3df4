"""`sensor-gateway token`: the tokens by which people and programs sign in. Thin, as `cli` is."""

import time
from pathlib import Path

import click

from gateway.commands.options import CONFIG, configured
from gateway.units import parse_duration

LONGEST = 36_500 * 86_400.0  # seconds that a token may be told to be valid


@click.group(short_help="Tokens by which people and programs sign in")
def token() -> None:
    """Tokens by which people and programs sign in."""


def _expiry(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < seconds <= LONGEST:
        raise click.BadParameter(f'"{value}" is out of range, expected a time of up to "36500d"')
    return seconds


@token.command("new", short_help="Make a token and print it this once")
@click.argument("name")
@click.option("--role", required=True, help="What it may see and do: the name of a [[role]].")
@click.option(
    "--expires", callback=_expiry, metavar="TIME", help='How long it is valid, such as "90d"; default: for ever.'
)
@click.option("--link", is_flag=True, help="Print addresses of the page that sign in with it.")
@CONFIG
def token_new(name: str, role: str, expires: float | None, link: bool, config: Path | None) -> None:
    """Make a token and print it: it is shown this once."""
    settings = configured(config)
    from gateway.commands.tokens import links, new_token

    text = new_token(settings, name, role, now=time.time(), expires=expires)
    click.echo("\n".join(links(settings, text)) if link else text)


@token.command("list", short_help="Show every token but never its secret")
@CONFIG
def token_list(config: Path | None) -> None:
    """Show every token: never its secret, which is kept nowhere."""
    settings = configured(config)
    from gateway.commands.tokens import listed

    click.echo("\n".join(listed(settings, now=time.time())))


@token.command("revoke", short_help="Take a token away from all who use it")
@click.argument("name")
@CONFIG
def token_revoke(name: str, config: Path | None) -> None:
    """Take a token away; who is signed in with it is out within a second."""
    settings = configured(config)
    from gateway.commands.tokens import revoke_token

    click.echo(revoke_token(settings, name))
