"""Commands that ask the running gateway: `reload`, `explain`, and the way to it for others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.commands.terminal import visible
from gateway.config import DEFAULT_PATH, ConfigError, load
from gateway.config.model import DEFAULT_STATE_DIR
from gateway.errors import GatewayError
from gateway.operations.control import NAME, answers_at, ask, places
from gateway.operations.whereabouts import running_on, runs_on_another

RELOAD_TIMEOUT = 60.0


def sockets(config: Path | None) -> list[Path]:
    """Where the control socket of a gateway with this configuration file is, or else where it may be.

    A gateway that runs on another file is none of them, unless this is the default one: then any will do.
    """
    own = None
    try:
        state_dir = load(config).gateway.state_dir
        own = state_dir / NAME
    except ConfigError:
        # Whoever asks the running gateway may not be allowed to read its file, or is about to mend it.
        state_dir = DEFAULT_STATE_DIR
    usual = places(state_dir, config)
    if config is None or (own is not None and answers_at(own)):
        return usual
    found = running_on(config)
    if found or config == DEFAULT_PATH:
        return found or usual
    return [path for path in usual if not runs_on_another(path, config)]


def run_reload(config: Path | None, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
    """Let the gateway read its configuration again, and wait. Raises GatewayError with what is wrong with it."""
    try:
        answer = ask(sockets(config), {"do": "reload"}, timeout=RELOAD_TIMEOUT)
    except ConfigError:
        complain("refused, nothing has changed: the gateway goes on as before")
        raise
    except GatewayError as error:
        try:
            load(config)
        except ConfigError:
            # Once it is mended the other may be mended as well.
            complain(f"sensor-gateway: {error}")
            raise
        raise
    say("reloaded")
    for key in answer["restart"]:
        say(f"after a restart only: {key}")


def run_explain(config: Path | None, topic: str, client: str | None, say: Callable[[str], None]) -> bool:
    """Say why a panel that shows `topic` is empty; whether all is well. Raises GatewayError."""
    answer = ask(sockets(config), {"do": "explain", "topic": topic, "client": client})
    # Filters and names are what clients made them.
    say("\n".join(visible(line) for line in answer["lines"]))
    return not answer["reason"]


def status_of(config: Path | None) -> dict[str, Any]:
    """How the running gateway is. Raises GatewayError where none answers."""
    return ask(sockets(config), {"do": "status"})
