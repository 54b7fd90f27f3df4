"""A real Prometheus for a test, and its tool that judges rules, metrics and expressions."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from support.processes import Process, missing


def program(name: str) -> str:
    """Where Debian's package has put it."""
    found = shutil.which(name)
    if found is None:
        raise missing(name, "apt-get install prometheus")
    return found


def promtool(*arguments: str, text: str = "") -> str:
    """What it complains about, "" where it does not. `text` is its standard input."""
    done = subprocess.run([program("promtool"), *arguments], input=text, capture_output=True, text=True, timeout=60)
    return done.stderr + (done.stdout if done.returncode else "")


class Prometheus(Process):
    """Prometheus on 127.0.0.1; `config` is its configuration file, in YAML."""

    def __init__(self, config: str) -> None:
        super().__init__(None)
        self.config = config

    def command(self) -> Sequence[str]:
        file = self.folder / "prometheus.yml"
        file.write_text(self.config)
        complaint = promtool("check", "config", str(file))
        assert not complaint, complaint
        return [
            program("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def _answers(self) -> bool:
        # It listens before it has opened its storage, and says 503 so long.
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                return True
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its API. Raises ValueError with its words where it refuses."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from error

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of every series that the expression gives now."""
        return [(each["metric"], float(each["value"][1])) for each in self.ask("query", query=expression)["result"]]

    def await_series(self, expression: str, limit: float = 30.0) -> list[tuple[dict[str, str], float]]:
        """The same, once it gives any. Raises TimeoutError."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if found := self.query(expression):
                return found
            time.sleep(0.1)  # another process's scrapes have no event
        raise TimeoutError(f"nothing for {expression} after {limit:g} s; targets: {self.ask('targets')}\n{self.log}")
