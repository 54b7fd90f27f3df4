"""Imports point down: every file's imports are read and held against the plan of the house.

A wing imports only from floors below its own, so wings of one floor (`edge`, `upstream`, …) never meet; a file imports
only from files that stand lower in its wing; `devices` never imports `gateway`; nothing imports in a circle.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Wing:
    """`rooms` are the modules of `package`, low to high; a room that is a package is a room with files of its own."""

    floor: int
    package: str
    rooms: tuple[str, ...]


PLAN = (
    Wing(5, "gateway", ("commands", "cli", "__main__")),
    Wing(4, "gateway", ("lifecycle", "daemon")),
    Wing(
        3,
        "gateway.edge",
        (
            *("origin", "hosts", "forwarded", "proxy_protocol", "doors", "rejections", "rate", "failures", "audit"),
            *("x509", "tls", "roles", "tokens", "jwts", "credentials"),
            *("commands", "events", "wire", "dialects", "frames", "thinning", "snapshot", "alone"),
            *("standing", "news", "breaks", "replay", "beginnings", "replays", "history"),
            *("room", "welcome", "publishing", "granting", "subscriptions"),
            *("commandrate", "session"),
            *("http", "modules", "static", "visits", "whoasks", "datapaths", "openpaths", "front", "admission"),
            *("tcpinfo", "states", "answer", "uring", "volley", "transport", "outgoing", "flood"),
            *("requesthead", "assembly", "websocket", "incoming"),
            *("connection", "preface", "endpoints", "descriptors", "doorkeeper", "listener", "listeners"),
            *("announcer", "identities", "drain", "reception", "lists", "numbers", "api", "server"),
            *("rules", "watch"),
        ),
    ),
    Wing(
        3,
        "gateway.upstream",
        (
            *("backoff", "counters", "properties", "names", "address", "acknowledgements"),
            *("bufferedsocket", "websocket", "connector", "subscriptions"),
            *("handed", "pahocheck", "intake", "keepalive", "inflight", "clientevents", "client"),
            *("announcer", "canary", "publishing", "session", "versions", "failback"),
            *(
                "held",
                "following",
                "losses",
                "attempts",
                "helpers",
                "presence",
                "sight",
                "link",
                "standby",
                "upstreams",
            ),
        ),
    ),
    Wing(
        3,
        "gateway.logs",
        (
            "offsets",
            "wear",
            "blocks",
            *("historyfile", "gate", "store", "shelf", "diskpages", "worker", "reserve"),
            *("backlog", "keeper", "lookback", "sqlite"),
            "history",
            "diskhistory",
            *("ending", "answers", "natspy", "signingin", "natsclient"),
            *("subjects", "records", "stream", "following", "reading", "lease", "writing"),
            *("intake", "turns", "watching", "streamlookback", "jetstream", "streamhistory"),
            "choose",
        ),
    ),
    Wing(
        3,
        "gateway.operations",
        ("lines", "repeats", "inherited", "logs", "notify", "health", "control", "whereabouts", "explain"),
    ),
    Wing(
        2,
        "gateway.hub",
        (
            *("message", "series", "ports", "readings", "pastreadings", "heartbeat", "wheel", "batch", "ledger"),
            "volley",
            "row",
            *("budget", "breath", "lane", "outbox", "pace", "rate"),
            *("rhythm", "staleness", "marks", "observers", "freshness"),
            *("subscription", "ring", "log", "handing", "audience", "way", "lones", "lastvalues", "router"),
            *("hub", "feed"),
        ),
    ),
    Wing(1, "gateway", ("config", "memory", "metrics")),
    Wing(0, "gateway", ("errors", "units", "topics", "pulse", "whole", "latestfile")),
    Wing(0, "gateway.dashboard", ()),
)


def modules(root: Path) -> dict[str, Path]:
    """Every module of the two packages by its dotted name."""
    found = {}
    for package in ("gateway", "devices"):
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and name of each of our own modules that `file` imports, wherever in the file it does."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            wanted = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        else:
            continue
        for target in dict.fromkeys(wanted):
            if target in known:
                yield node.lineno, target


def place(module: str) -> tuple[Wing, int] | None:
    """The wing of a module of `gateway`, and how high in it: a wing's own package stands above all its rooms."""
    for wing in PLAN:
        if module == wing.package and module != "gateway":
            return wing, len(wing.rooms)
        if module.startswith(f"{wing.package}."):
            room = module.removeprefix(f"{wing.package}.").split(".")[0]
            if room in wing.rooms:
                return wing, wing.rooms.index(room)
    return None


def objection(importer: str, imported: str) -> str | None:
    """Why `importer` may not import `imported`; None where it may."""
    if imported.startswith("devices"):
        return "the root package holds the version and nothing else" if importer == "gateway" else None
    if importer.startswith("devices"):
        return "devices never imports gateway"
    if imported == "gateway":
        return None
    if importer == "gateway":
        return "the root package holds the version and nothing else"
    here, there = place(importer), place(imported)
    if here is None or there is None:
        return None  # reported once, by its file
    if here[0] is there[0]:
        return None if there[1] <= here[1] else "it stands higher in the same wing"
    if there[0].floor >= here[0].floor:
        return f"floor {here[0].floor} may not import from floor {there[0].floor}"
    return None


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """One circle of imports, or None."""
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for target in sorted(graph.get(module, ())):
            found = visit(target, [*way, module])
            if found:
                return found
        done.add(module)
        return None

    for module in sorted(graph):
        if found := visit(module, []):
            return found
    return None


def breaches(root: Path) -> list[str]:
    """Every import under `root` that the plan forbids, as `file:line: what it imports: why not`."""
    known = modules(root)
    found = []
    graph: dict[str, set[str]] = {}
    for name, file in known.items():
        if name.startswith("gateway.") and place(name) is None:
            found.append(f"{file.relative_to(root)}: no place yet: put it into PLAN in tests/test_imports.py")
        for line, target in imports(name, file, known):
            if target != name:
                graph.setdefault(name, set()).add(target)
            if why := objection(name, target):
                found.append(f"{file.relative_to(root)}:{line}: {target}: {why}")
    if found_circle := circle(graph):
        found.append(f"imports in a circle: {' → '.join(found_circle)}")
    return found


def test_imports_point_down() -> None:
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("gateway/hub/hub.py", "from gateway.edge import session", "floor 2 may not import from floor 3"),
        ("gateway/hub/hub.py", "import gateway.daemon", "floor 2 may not import from floor 4"),
        ("gateway/errors.py", "from gateway import config", "floor 0 may not import from floor 1"),
        ("gateway/errors.py", "from gateway.topics import matches", "stands higher in the same wing"),
        ("gateway/hub/outbox.py", "from .hub import Hub", "stands higher in the same wing"),
        ("gateway/hub/outbox.py", "from . import hub", "stands higher in the same wing"),
        ("gateway/hub/outbox.py", "import gateway.hub", "stands higher in the same wing"),
        ("gateway/edge/session.py", "def late():\n    from gateway.upstream import link", "floor 3 may not import"),
        ("gateway/upstream/link.py", "from gateway.edge.session import Session", "floor 3 may not import"),
        ("gateway/__init__.py", "from gateway.errors import GatewayError", "the root package holds the version"),
        ("gateway/loft.py", "", "no place yet"),
        ("devices/reading.py", "from gateway import topics", "devices never imports gateway"),
        ("devices/reading.py", "from devices import registry", "devices.reading → devices.registry → devices.reading"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, line: str, why: str) -> None:
    for name in (
        *("gateway/__init__.py", "gateway/errors.py", "gateway/topics.py", "gateway/config.py", "gateway/daemon.py"),
        *("gateway/hub/__init__.py", "gateway/hub/outbox.py", "gateway/hub/hub.py"),
        *("gateway/edge/__init__.py", "gateway/edge/session.py", "gateway/upstream/__init__.py"),
        *("gateway/upstream/link.py", "devices/__init__.py", "devices/reading.py", "devices/registry.py"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "gateway/hub/hub.py").write_text("from gateway.hub import outbox\nfrom gateway import __version__\n")
    (tmp_path / "gateway/edge/session.py").write_text("import gateway.hub.hub\nfrom devices import registry\n")
    (tmp_path / "devices/registry.py").write_text("from devices.reading import Reading\n")
    assert breaches(tmp_path) == []

    with (tmp_path / file).open("a") as tree:
        tree.write(f"{line}\n")

    found = breaches(tmp_path)
    assert any(why in breach for breach in found)
    assert all(breach.startswith((file, "imports in a circle")) for breach in found)
