"""What most commands take: the configuration file, and what it says."""

from pathlib import Path

import click

from gateway.config import DEFAULT_PATH, Config, load

# Files are opened by those who can say what is wrong with them, all problems at once.
FILE = click.Path(path_type=Path, readable=False)
CONFIG = click.option("--config", type=FILE, help=f"Configuration file; default {DEFAULT_PATH}.")


def configured(path: Path | None) -> Config:
    """The configuration at `path`; the default one may be missing: then all keys have their defaults.

    Raises ConfigError with every problem.
    """
    if path is None and not DEFAULT_PATH.exists():
        return load(None)
    return load(path or DEFAULT_PATH)


def place_of(path: Path | None) -> Path | None:
    """The configuration file that a command is about; None where there is none at the default place."""
    return path or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
