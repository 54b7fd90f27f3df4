"""The real daemon for a test: `sensor-gateway run` as a process of its own."""

import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

from support.processes import Process


class Daemon(Process):
    """`sensor-gateway run` on a configuration file of its own.

    `config` is TOML; `{port}` in it stands for the first listener's port, `{folder}` for the daemon's own folder.
    Without a `[[listen]]` of its own it gets a plain one on 127.0.0.1 and that port. It may be changed between `stop`
    and `start`.
    """

    def __init__(self, config: str, port: int | None = None) -> None:
        super().__init__(port)
        self.config = config
        self.config_file = self.folder / "config.toml"

    @property
    def url(self) -> str:
        """Where viewers come in, without TLS."""
        return f"ws://127.0.0.1:{self.port}/stream"

    def write_config(self) -> None:
        """Write the configuration file as `config` is now; `start` does so too."""
        text = self.config
        if "[gateway]" not in text:
            text = f'[gateway]\nstate_dir = "{self.folder}"\n{text}'
        if "[[listen]]" not in text:
            text += '\n[[listen]]\naddress = "127.0.0.1"\nport = {port}\n'
        self.config_file.write_text(text.replace("{port}", str(self.port)).replace("{folder}", str(self.folder)))

    def command(self) -> Sequence[str]:
        self.write_config()
        return [sys.executable, "-m", "gateway", "run", "--config", str(self.config_file)]

    def await_broker(self, limit: float = 10.0) -> None:
        """Return once the gateway has its broker. Raises TimeoutError."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=limit):
                    return
            except urllib.error.HTTPError:
                time.sleep(0.05)
        raise TimeoutError(f"no broker after {limit:g} s:\n{self.log}")
