"""A real Mosquitto broker for a test."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from support.processes import Process, free_port, missing


class Mosquitto(Process):
    """Mosquitto on 127.0.0.1.

    `config` is appended after the first listener: settings of that listener, of the broker, or more listeners.
    `persistence_dir` keeps sessions and retained messages over a restart. `scheme` is what `url` begins
    with; ws and wss make the listener a WebSocket one.
    `config` may be changed between `stop` and `start`.
    """

    def __init__(
        self,
        port: int | None = None,
        config: str = "",
        persistence_dir: Path | str | None = None,
        *,
        scheme: str = "mqtt",
        anonymous: bool = True,
    ) -> None:
        super().__init__(port)
        self.config = config
        self.scheme = scheme
        self._persistence_dir = persistence_dir
        self._anonymous = anonymous

    @property
    def url(self) -> str:
        """The address of the first listener."""
        host = "localhost" if self.scheme in ("mqtts", "wss") else "127.0.0.1"
        return f"{self.scheme}://{host}:{self.port}"

    def command(self) -> Sequence[str]:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise missing("mosquitto", "apt-get install mosquitto")
        lines = ["log_dest stderr", "log_type all", "connection_messages true"]
        if os.geteuid() == 0:
            lines.append("user root")  # it would give up its rights and then not read the test's files
        if self._persistence_dir is not None:
            lines += ["persistence true", f"persistence_location {Path(self._persistence_dir)}/"]
        lines.append(f"allow_anonymous {'true' if self._anonymous else 'false'}")
        if self.scheme in ("ws", "wss"):
            # Mosquitto 2.0 does not start with WebSocket listeners alone.
            lines += [f"listener {free_port()} 127.0.0.1", f"listener {self.port} 127.0.0.1", "protocol websockets"]
        else:
            lines.append(f"listener {self.port} 127.0.0.1")
        lines += [self.config, ""]
        file = self.folder / "mosquitto.conf"
        file.write_text("\n".join(lines))
        return [program, "-c", str(file)]
