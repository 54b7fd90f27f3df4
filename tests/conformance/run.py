"""Runs the Autobahn WebSocket test suite against the gateway's own connection code, plain and over TLS.

usage: run.py --python2 python2.7 [--all] [--write docs/conformance.md]

Makes a Python 2.7 environment under .conformance/ at the first run (the suite is still written for it). Without --all
sections 9 (limits and performance), 12 and 13 (compression, which is not offered) are left out: a quarter of a minute
in place of minutes. Exit status 1 where a case fails.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".conformance"
SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv==20.15.1"  # the last that makes environments of Python 2.7
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))


def suite(python2: str) -> Path:
    """The suite's program, installed where it is not yet."""
    found = HOME / "suite" / "bin" / "wstest"
    if found.exists():
        return found
    if shutil.which(python2) is None:
        sys.exit(
            f"conformance: there is no {python2} here, and the Autobahn test suite needs a Python 2.7. "
            "Name one: make conformance PYTHON2=/path/to/python2.7"
        )
    HOME.mkdir(exist_ok=True)
    tools = HOME / "tools"
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python2, "-m", "pip", "install", *quiet, "--target", str(tools), VIRTUALENV], check=True)
    environment = {"PYTHONPATH": str(tools), "PATH": "/usr/bin:/bin"}
    subprocess.run([python2, "-m", "virtualenv", "--quiet", str(HOME / "suite")], check=True, env=environment)
    subprocess.run([str(HOME / "suite" / "bin" / "pip"), "install", *quiet, SUITE], check=True)
    return found


def run(wstest: Path, servers: dict[str, str], *, every: bool) -> dict[str, dict[str, dict[str, object]]]:
    """The suite's verdicts: agent, case, facts."""
    out = Path(tempfile.mkdtemp(prefix="autobahn-"))
    specification = {
        "outdir": str(out),
        "servers": [{"agent": agent, "url": url} for agent, url in servers.items()],
        "cases": ["*"],
        "exclude-cases": [] if every else ["9.*", "12.*", "13.*"],
        "exclude-agent-cases": {},
    }
    file = out / "fuzzingclient.json"
    file.write_text(json.dumps(specification))
    subprocess.run([str(wstest), "-m", "fuzzingclient", "-s", str(file)], check=True, stdout=subprocess.DEVNULL)
    result: dict[str, dict[str, dict[str, object]]] = json.loads((out / "index.json").read_text())
    shutil.rmtree(out)
    return result


def failures(cases: dict[str, dict[str, object]]) -> list[str]:
    """The cases that are not good, with their verdicts."""
    return [
        f"{case}: {facts['behavior']}, close {facts['behaviorClose']}"
        for case, facts in sorted(cases.items(), key=lambda item: [int(part) for part in item[0].split(".")])
        if facts["behavior"] not in GOOD or facts["behaviorClose"] not in GOOD
    ]


def table(results: dict[str, dict[str, dict[str, object]]]) -> Iterable[str]:
    """The summary, one row a server and section."""
    yield "| server | section | cases | OK | non-strict | informational | not implemented | failed |"
    yield "|---|---|---|---|---|---|---|---|"
    for agent, cases in results.items():
        sections = sorted({int(case.split(".")[0]) for case in cases})
        for section in sections:
            own = [facts for case, facts in cases.items() if int(case.split(".")[0]) == section]
            counts = Counter(str(facts["behavior"]) for facts in own)
            failed = sum(facts["behavior"] not in GOOD or facts["behaviorClose"] not in GOOD for facts in own)
            cells = [counts["OK"], counts["NON-STRICT"], counts["INFORMATIONAL"], counts["UNIMPLEMENTED"], failed]
            yield f"| {agent} | {section} | {len(own)} | {' | '.join(map(str, cells))} |"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--python2", default="python2.7")
    options.add_argument("--all", action="store_true")
    options.add_argument("--write", type=Path)
    chosen = options.parse_args()
    wstest = suite(chosen.python2)

    from support.processes import free_port

    from gateway.commands.certificates import make_self_signed

    with tempfile.TemporaryDirectory() as folder:
        files = make_self_signed(Path(folder), ["localhost", "127.0.0.1"])
        ports = free_port(), free_port()
        echo = Path(__file__).with_name("echo.py")
        server = subprocess.Popen(
            [sys.executable, str(echo), *map(str, ports), str(files.certificate), str(files.key)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            if not server.stdout.readline().startswith("ready"):
                sys.exit("conformance: the echo server did not start")
            servers = {"plain": f"ws://127.0.0.1:{ports[0]}/stream", "TLS": f"wss://127.0.0.1:{ports[1]}/stream"}
            results = run(wstest, servers, every=chosen.all)
        finally:
            server.kill()
            server.wait()
            assert server.stdout is not None
            server.stdout.close()
    lines = list(table(results))
    print("\n".join(lines))
    for agent, cases in results.items():
        for behavior in ("NON-STRICT", "INFORMATIONAL"):
            print(f"{agent}, {behavior.lower()}: {', '.join(c for c, f in cases.items() if f['behavior'] == behavior)}")
    bad = {agent: failures(cases) for agent, cases in results.items()}
    for agent, cases in bad.items():
        for case in cases:
            print(f"{agent}: {case}")
    if chosen.write is not None:
        text = chosen.write.read_text()
        start, end = "<!-- summary -->\n", "<!-- end of summary -->"
        before, after = text.index(start) + len(start), text.index(end)
        chosen.write.write_text(text[:before] + "\n".join(lines) + "\n" + text[after:])
    sys.exit(1 if any(bad.values()) else 0)


if __name__ == "__main__":
    main()
