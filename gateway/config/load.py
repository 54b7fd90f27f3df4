"""From a path to a configuration that may be started on."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from gateway.config.checks import check
from gateway.config.convert import convert
from gateway.config.model import Config
from gateway.config.problems import ConfigError
from gateway.config.reader import read
from gateway.config.report import Report
from gateway.config.resolve import resolve
from gateway.config.tree import Node, Written

DEFAULT_PATH = Path("/etc/sensor-gateway/config.toml")


def load(path: Path | None, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read, complete and check the configuration at `path`; None is the configuration without any file.

    `conf.d/*.toml` beside the file is merged in. Raises `ConfigError` with every problem found.
    """
    root = Node({}, "", None) if path is None else read(path)
    written = Written(root)
    report = Report(written)
    config = replace(convert(root, environ, report), written=written)
    config = resolve(config, Path.cwd() if path is None else path.absolute().parent, environ)
    check(config, report)
    problems = report.sorted()
    if problems:
        raise ConfigError(problems)
    return config
