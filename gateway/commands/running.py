"""Commands that ask the running gateway: `reload`, `explain`, and the way to it for others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.config import ConfigError, load
from gateway.config.model import DEFAULT_STATE_DIR
from gateway.errors import GatewayError
from gateway.operations.control import ask, places

RELOAD_TIMEOUT = 60.0


def sockets(config: Path | None) -> list[Path]:
    """Where the control socket of a gateway with this configuration file may be."""
    try:
        state_dir = load(config).gateway.state_dir
    except ConfigError:
        # Whoever asks the running gateway may not be allowed to read its file, or is about to mend it.
        state_dir = DEFAULT_STATE_DIR
    return places(state_dir, config)


def run_reload(config: Path | None, say: Callable[[str], None]) -> None:
    """Let the gateway read its configuration again, and wait. Raises GatewayError with what is wrong with it."""
    try:
        answer = ask(sockets(config), {"do": "reload"}, timeout=RELOAD_TIMEOUT)
    except GatewayError:
        # A file that does not say any more where the gateway is: what is wrong with it is the answer.
        load(config)
        raise
    say("reloaded")
    for key in answer["restart"]:
        say(f"after a restart only: {key}")


def run_explain(config: Path | None, topic: str, client: str | None, say: Callable[[str], None]) -> bool:
    """Say why a panel that shows `topic` is empty; whether all is well. Raises GatewayError."""
    answer = ask(sockets(config), {"do": "explain", "topic": topic, "client": client})
    say("\n".join(answer["lines"]))
    return not answer["reason"]


def status_of(config: Path | None) -> dict[str, Any]:
    """How the running gateway is. Raises GatewayError where none answers."""
    return ask(sockets(config), {"do": "status"})
