"""HAProxy, nginx and Caddy of a test, with what a page of the documentation says they are to be told."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.processes import Process, lasting_port, missing

DOCS = Path(__file__).parents[2] / "docs"
HOST = "sensors.example.org"
"""The name that the pages give to what viewers reach."""


def snippet(page: str, heading: str, language: str) -> str:
    """The one block of a language below a heading, in a page under docs/."""
    section = re.split(rf"^#+ {re.escape(heading)}$", (DOCS / page).read_text(), flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    (found,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(found)


def filled_in(text: str, places: Mapping[str, str]) -> str:
    """The text with each place replaced; each has to stand in it."""
    for place, value in places.items():
        assert place in text, f"{place} is not in\n{text}"
        text = text.replace(place, value)
    return text


def nginx_places(certificate: Path, key: Path) -> dict[str, str]:
    """What an nginx of the pages has in other places here: the port that it listens on, and its files."""
    live = f"/etc/letsencrypt/live/{HOST}"
    return {
        "listen 443 ssl": "listen 127.0.0.1:{port} ssl",
        f"{live}/fullchain.pem": str(certificate),
        f"{live}/privkey.pem": str(key),
    }


class HAProxy(Process):
    """HAProxy on a configuration, in which `{port}` is where it listens."""

    def __init__(self, config: str) -> None:
        super().__init__(lasting_port())
        self._config = config

    def command(self) -> Sequence[str]:
        program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise missing("haproxy", "apt-get install haproxy")
        file = self.folder / "haproxy.cfg"
        file.write_text(self._config.replace("{port}", str(self.port)))
        return [program, "-db", "-f", str(file)]


class Nginx(Process):
    """nginx on the inside of `http {}`, in which `{port}` is where it listens.

    One process: the workers of a master that is killed live on.
    """

    def __init__(self, http: str) -> None:
        super().__init__(lasting_port())
        self._http = http

    def command(self) -> Sequence[str]:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise missing("nginx", "apt-get install nginx-light")
        file = self.folder / "nginx.conf"
        temporary = "\n".join(
            f"  {kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(
            f"daemon off;\nmaster_process off;\npid {self.folder}/pid;\nerror_log stderr;\n"
            f"events {{ worker_connections 4096; }}\n"
            f"http {{\n  access_log off;\n{temporary}\n{self._http.replace('{port}', str(self.port))}\n}}\n"
        )
        return [program, "-e", "stderr", "-c", str(file)]


class Caddy(Process):
    """Caddy on the sites of a Caddyfile, in which `{port}` is where it listens.

    It asks nobody for certificates, listens on loopback only, has no control port, and keeps what it keeps in the
    test's folder.
    """

    def __init__(self, sites: str) -> None:
        super().__init__(lasting_port())
        self._sites = sites

    def command(self) -> Sequence[str]:
        program = shutil.which("caddy")
        if program is None:
            raise missing("caddy", "apt-get install caddy")
        file = self.folder / "Caddyfile"
        sites = self._sites.replace("{port}", str(self.port))
        file.write_text(f"{{\n  admin off\n  auto_https off\n  default_bind 127.0.0.1\n}}\n{sites}")
        homes = [f"{name}={self.folder}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")]
        return ["/usr/bin/env", *homes, program, "run", "--config", str(file), "--adapter", "caddyfile"]
