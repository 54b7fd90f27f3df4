"""A folder to write a configuration into, and the two outcomes of loading it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, load


class Folder:
    """A configuration folder; texts are written as they stand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "config.toml"

    def write(self, text: str, name: str = "config.toml") -> Path:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def load(self, text: str | None = None, environ: Mapping[str, str] | None = None) -> Config:
        if text is not None:
            self.write(text)
        return load(self.file, environ=environ or {})

    def problems(self, text: str | None = None, environ: Mapping[str, str] | None = None) -> list[str]:
        """What `check` would print, one text a problem, files named without this folder."""
        with pytest.raises(ConfigError) as caught:
            self.load(text, environ)
        return str(caught.value).replace(f"{self.path}/", "").splitlines()
