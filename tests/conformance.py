"""Holds the edge against the Autobahn test suite for RFC 6455: an echo of its own in place of a dialect.

usage: conformance.py [CASES]          CASES: comma-separated, with wildcards; default all but 9, 12 and 13

Needs `wstest` (on the PATH or in .autobahn), or Python 2.7 to install it into .autobahn: the suite runs under nothing
newer. Cases 9 measure throughput with messages of up to 16 MiB, 12 and 13 test compression, which is not offered.
Prints every case that is not OK; the exit status is 1 where one failed.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from support.edge import Edge

from gateway.edge.connection import Flood
from gateway.edge.dialects import framing
from gateway.edge.dialects.dialect import Shared, Spoken
from gateway.edge.events import Event
from gateway.edge.server import ServerLimits
from gateway.edge.session import SessionLimits
from gateway.hub.audience import Subscription, Variant
from gateway.hub.message import Message

HOME = Path(".autobahn")
MESSAGE = 16 << 20
PLENTY = 1e9
#: Behaviours that the suite itself accepts.
FINE = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}
MISSING = """wstest is missing, and there is no Python 2.7 to install it with. One of:
  put wstest (PyPI: autobahntestsuite) on the PATH
  install Python 2.7 with pip, e.g.: pyenv install 2.7.18"""


class Echo(Shared):
    """Says every message back."""

    name = "echo"

    def commands(self, data: bytes, *, text: bool) -> list[Spoken]:
        return [framing.text(data) if text else framing.binary(data)]

    def event(self, event: Event) -> bytes:
        return b""

    def variant(self, table: tuple[Subscription, ...]) -> Variant:
        return _Silent()


class _Silent:
    def encode(self, message: Message) -> bytes:
        return b""


def find_wstest() -> str:
    """The path of `wstest`, installed now where Python 2.7 can do it."""
    found = shutil.which("wstest") or shutil.which("wstest", path=str(HOME / "bin"))
    if found:
        return found
    candidates = ["python2.7", *map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))]
    for python in candidates:
        try:
            subprocess.run([python, "-m", "pip", "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue  # not there, or a shim without a Python behind it
        print(f"installing the suite into {HOME}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            install = [python, "-m", "pip", "install", "--quiet", "--target", folder, "virtualenv==20.15.1"]
            subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
            make = [python, "-m", "virtualenv", "--quiet", str(HOME)]
            subprocess.run(make, check=True, env={"PYTHONPATH": folder})
        pip = [str(HOME / "bin" / "pip"), "install", "--quiet", "autobahntestsuite==25.10.1"]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        return str(HOME / "bin" / "wstest")
    sys.exit(MISSING)


async def conform(wstest: str, cases: list[str], folder: Path) -> dict[str, dict[str, str]]:
    """Run the suite; its verdicts by case."""
    echo = Echo()
    limits = ServerLimits(message_size=MESSAGE, accepts=1_000_000, per_address=1_000_000)
    flood = Flood(frames=PLENTY, frames_burst=PLENTY, bytes=PLENTY, bytes_burst=PLENTY)
    session = SessionLimits(commands_per_second=PLENTY, message_size=MESSAGE)
    async with Edge(limits=limits, session=session, flood=flood, dialects={"": lambda: echo}) as edge:
        plan = {
            "outdir": str(folder),
            "servers": [{"agent": "sensor-gateway", "url": f"ws://127.0.0.1:{edge.port}/stream"}],
            "cases": cases,
            "exclude-cases": [] if len(sys.argv) > 1 else ["9.*", "12.*", "13.*"],
            "exclude-agent-cases": {},
        }
        (folder / "plan.json").write_text(json.dumps(plan))
        process = await asyncio.create_subprocess_exec(
            *(wstest, "-m", "fuzzingclient", "-s", str(folder / "plan.json")), stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
    verdicts: dict[str, dict[str, str]] = json.loads((folder / "index.json").read_text())["sensor-gateway"]
    return verdicts


def main() -> None:
    cases = sys.argv[1].split(",") if len(sys.argv) > 1 else ["*"]
    with tempfile.TemporaryDirectory() as folder:
        verdicts = asyncio.run(conform(find_wstest(), cases, Path(folder)))
    failed = 0
    for case, verdict in sorted(verdicts.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        bad = verdict["behavior"] not in FINE or verdict["behaviorClose"] not in FINE
        failed += bad
        if bad or verdict["behavior"] != "OK":
            print(f"{case}: {verdict['behavior']}, close {verdict['behaviorClose']}")
    print(f"{len(verdicts)} cases: {dict(Counter(verdict['behavior'] for verdict in verdicts.values()))}")
    sys.exit(1 if failed or not verdicts else 0)


if __name__ == "__main__":
    main()
